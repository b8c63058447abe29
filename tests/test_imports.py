"""Which packages each command imports: what it needs and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Packages that take a noticeable time to import. torch and numpy are the least of a command that
# computes; safetensors, xxhash and rich.table take little.
SLOW = {
    *("cv2", "datasets", "faiss", "jinja2", "lancedb", "lightning_fabric", "matplotlib", "onnx"),
    *("open_clip", "ot", "pandas", "PIL", "pyarrow", "requests", "scipy", "skimage", "sklearn"),
    *("sympy", "tensorboard", "timm", "torch", "torchvision", "transformers"),
    *("typer.rich_utils", "yaml"),
}
# Commands run one after another in one process, so each line allows what the lines above allow.
COMMANDS: list[tuple[list[str], set[str]]] = [
    (["--help"], set()),
    (["--version"], set()),
    (["measure", "--help"], set()),
    (["measure", "--unknown"], set()),
    (["close", "--help"], set()),
    (["close", "shift", "--help"], set()),
    (["close", "fit", "shift", "--help"], set()),
    (["invert", "--help"], set()),
    (["invert", "oti", "--help"], set()),
    (["search", "--help"], set()),
    (["study", "--help"], set()),
    (["study", "imbalance", "--help"], set()),
    (["simulate", "free_points", "--help"], set()),
    (["list", "measures"], {"torch"}),
    (["list", "closers"], set()),
    (["measure", "pair.npy"], set()),
    (["measure", "pair.npy", "--json"], set()),
    (["convert", "pair.npy", "pair.safetensors"], set()),
    (["close", "fit", "procrustes", "pair.npy", "-o", "map.safetensors"], set()),
    (["close", "apply", "map.safetensors", "pair.npy", "-o", "closed.npz"], set()),
    (["evaluate", "pair.npy", "--only", "retrieval,mixed"], set()),
    (["preflight", "pair.npy", "--only", "retrieval"], set()),
    (["compare", "pair.npy", "--only", "center,retrieval"], set()),
    (["list", "simulations"], set()),
    (["list", "data"], {"PIL", "pyarrow"}),
    (["list", "studies"], set()),
    (["list", "models"], set()),
    (["list", "schemas"], set()),
    (["report", "pair.npy", "-o", "page.html"], {"jinja2", "matplotlib"}),
]
RUN = """
import contextlib, io, json, sys
from modalgap.cli import main

said = io.StringIO()
for arguments in json.loads(sys.argv[1]):
    before = set(sys.modules)
    code = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        sys.argv = ["modalgap", *arguments]
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
    print(json.dumps([code, sorted(set(sys.modules) - before)]))
"""


def imported(
    commands: list[list[str]], folder: Path, first: str = ""
) -> list[tuple[int, set[str]]]:
    """The exit code of each command, and the slow packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", first + RUN, json.dumps(commands)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return [(code, SLOW & set(modules)) for code, modules in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    np.save(folder / "pair.npy", np.random.default_rng(0).normal(size=(2, 60, 16)) + 0.5)
    return folder


def test_each_command_imports_what_it_needs(folder: Path) -> None:
    found = imported([arguments for arguments, _ in COMMANDS], folder)
    for (arguments, allowed), (code, packages) in zip(COMMANDS, found, strict=True):
        assert code == (2 if "--unknown" in arguments else 0), arguments
        assert packages == allowed, arguments


def test_the_check_can_fail(folder: Path) -> None:
    spoilt = "import typer\ntyper.echo = lambda *_: __import__('jinja2')\n"
    assert imported([["--version"]], folder, spoilt) == [(0, {"jinja2"})]
