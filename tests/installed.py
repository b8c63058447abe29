"""Every command in one installation: ``python installed.py FOLDER EXTRAS HIDDEN``.

Needs nothing but the package. EXTRAS are those that are installed, by commas. HIDDEN names a JSON
list of modules that are hidden before anything is imported. Each command must run, or say in one
line which extra it needs. Writes one JSON object: the commands that ran, and what is wrong.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ALWAYS, NEVER, ONLY = "always", "never", "only"
# the extra; when to run it: always, never where the extra is there (it takes long), or only there
COMMANDS: list[tuple[str | None, str, str]] = [
    (None, ALWAYS, "measure pair.npz"),
    (None, ALWAYS, "report pair.npz -o report.html"),
    (None, ALWAYS, "evaluate pair.npz"),
    (None, ALWAYS, "search image.npz --query image.npz --protocol self_removed"),
    (None, ALWAYS, "preflight pair.npz --only retrieval"),
    (None, ALWAYS, "plan wide.npz --only l2m --rows 1e6"),
    (None, ALWAYS, "compare pair.npz --only center,retrieval"),
    (None, ALWAYS, "convert pair.npz pair.safetensors"),
    (None, ALWAYS, "close fit center pair.npz -o map.safetensors"),
    (None, ALWAYS, "close apply map.safetensors pair.npz -o closed.npz"),
    (None, ALWAYS, "close fit zscore pair.npz -o scales.json"),
    (None, ALWAYS, "close center pair.npz -o run.npz"),
    (None, ALWAYS, "close export map.safetensors -o map.json"),
    ("export", ALWAYS, "close export map.safetensors --to onnx --role image -o map.onnx"),
    ("explore", ALWAYS, "explore pair.npz -o explored.html"),
    (None, ALWAYS, "explore pair.npz --table explored.parquet"),
    ("ray", NEVER, "measure pair.npz --on ray"),
    ("transport", ALWAYS, "close transport pair.npz -o moved.npz"),
    (None, ALWAYS, "invert gap_shift image.npz --bank pair.npz -o shifted.safetensors"),
    (None, ALWAYS, "invert ridge_map image.npz --bank pair.npz -o mapped.safetensors"),
    (None, ALWAYS, "invert caption_mixture image.npz --bank pair.npz -o mixed.safetensors"),
    *((None, ALWAYS, f"list {what}") for what in (
        "measures", "closers", "tasks", "models", "data", "losses", "configs", "inversions",
        "simulations", "studies", "schemas")),
    (None, ALWAYS, "simulate free_points -o points.npz --set steps=2"),
    (None, ALWAYS, "data check mnist"),
    ("emoji", ALWAYS, "data emoji packages -o emoji --size 16"),
    (None, ALWAYS, "explain rmg"),
    ("models", ONLY, "encode texts.txt -m open_clip:RN50/random -o random.npz"),
    ("models", ONLY, "zoo -m open_clip:RN50/random -d texts.txt -o zoo --measures cone"),
    ("models", NEVER, "encode texts.txt -m open_clip:RN50/openai -o o.npz"),
    ("models", NEVER, "encode texts.txt -m hf:openai/clip-vit-base-patch32 -o o.npz"),
    ("models", NEVER, "invert oti image.npz -m open_clip:RN50/openai -o oti.safetensors"),
    ("models", NEVER, "invert ovi text.npz -m open_clip:RN50/openai -o ovi.safetensors"),
    ("models", NEVER, "invert curve oti image.npz --query image.npz"
                      " -m open_clip:RN50/openai -o curve"),
    ("st", NEVER, "encode texts.txt -m st:all-MiniLM-L6-v2 -o o.npz"),
    ("st", NEVER, "close export map.safetensors --to model --model st:some/model -o closed"),
    ("train", ALWAYS, "data mad -o mad --limit 40"),
    ("train", ALWAYS, "demo -o demo --set train.steps=2 --set train.data.limit=400"
                      " --set train.batch=16"),
    ("train", ALWAYS, "train mad_k1 -o run --set steps=1 --set data.limit=200 --set batch=16"),
    ("train", ONLY, "encode texts.txt -m open_clip:run/model -o texts.npz"),
    ("train", NEVER, "study demo -o demo"),
    ("train", NEVER, "study imbalance -o imbalance"),
    (None, ALWAYS, "study all -o studies --only sphere_pairs"),
    ("train", NEVER, "study inversion -o inversion"),
]  # fmt: skip
FIRST = ("close fit", "evaluate")  # what commands of extras read, and what runs without them
# their input is what a model made, and they load that model first, as invert oti does
LEFT_OUT = {"invert words"}


def hide(names: set[str]) -> None:
    """Let modules seem not to be installed."""

    class Hiding(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
            if fullname.partition(".")[0] in names:
                return None
            return super().find_spec(fullname, path, target)

    sys.meta_path = [
        Hiding if each is importlib.machinery.PathFinder else each for each in sys.meta_path
    ]


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit code and stderr."""
    from modalgap.cli import main

    sys.argv = ["modalgap", *arguments]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        except Exception as error:
            code = f"a traceback: {type(error).__name__}: {error}"
    return code if isinstance(code, int) else -1, err.getvalue() or str(code)


def wrong(extra: str | None, installed: set[str], code: int, err: str) -> bool:
    """Whether a command did what it must not."""
    if extra is None or extra in installed:
        return code not in (0, 1) or "Traceback" in err or "pip install" in err
    one = err.startswith("modalgap: ") and err.count("\n") == 1
    said = re.search(r"needs [\w.]+: pip install 'modalgap\[(\w+)\]'$", err.strip())
    if said is None:  # another extra brings the same library: it looked for the weights
        return code != 2 or not one or " of Hugging Face, and the network " not in err
    return code != 2 or not one or said[1] in installed


def inputs() -> None:
    """A pair of 120 rows, and a file of texts."""
    import numpy as np

    import modalgap as mg

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((120, 8))
    told = {"weights_hash": "ab" * 16, "model": "open_clip:RN50/openai"}
    names, kinds = [f"{i}.jpg" for i in range(120)], np.arange(120) % 3
    image = mg.Embeddings(rows + 0.3, "image", names, {"kind": kinds}, told)
    mg.save(mg.Pair(image, rows + rng.standard_normal((120, 8))), "pair.npz")
    mg.save(mg.Pair(*rng.standard_normal((2, 4_000, 4))), "wide.npz")
    mg.save(image, "image.npz")
    mg.save(mg.Embeddings(rows, "text", provenance=told), "text.npz")
    Path("texts.txt").write_text("three\nfour\nfive\n")
    Path("packages/noto").mkdir(parents=True)
    icons = {name: {"body": "<circle r='9'/>"} for name in ("bear", "cat", "dog")}
    Path("packages/noto/icons.json").write_text(json.dumps({"icons": icons}))


def main() -> int:
    """1 if anything is wrong."""
    folder, extras, hidden = sys.argv[1:4]
    hide(set(json.loads(hidden)))
    os.chdir(folder)
    inputs()
    installed = set(filter(None, extras.split(",")))
    ran, found = [], []
    for extra, when, line in COMMANDS:
        there = extra is None or extra in installed
        if when == (NEVER if there else ONLY):
            continue
        if extra is None and installed and not line.startswith(FIRST):
            continue  # as in the bare package
        code, err = run(line.split())
        ran.append(line)
        if wrong(extra, installed, code, err):
            found.append([line, code, err])
    print(json.dumps({"ran": ran, "wrong": found}))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
