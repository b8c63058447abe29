"""Commands that write, with small inputs: what ``kill``, ``disks`` and ``soak`` run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import trained
import yaml

PAIRS, WIDE = 400, 520_000  # rows; WIDE are three shards
# {out} is the output
COMMANDS: dict[str, str] = {
    "convert": "convert in/pair.npz {out}.safetensors",
    "convert to shards": "convert in/wide.npz {out}",
    "convert to Parquet": "convert in/pair.npz {out}.parquet",
    "close": "close standardize in/pair.npz -o {out}.npz",
    "close fit": "close fit whiten in/pair.npz -o {out}.safetensors",
    "close apply": "close apply in/map.safetensors in/pair.npz -o {out}.safetensors",
    "close apply to shards": "close apply in/wide_map.safetensors in/shards -o {out}",
    "close export": "close export in/map.safetensors --to onnx --role image -o {out}.onnx",
    "close export model": (
        "close export in/narrow_map.safetensors --to model --model open_clip:in/run/model -o {out}"
    ),
    "report": "report in/pair.npz -o {out}.html",
    "explore": "explore in/pair.npz -o {out}.html",
    "explore table": "explore in/pair.npz --table {out}.parquet",
    "simulate": "simulate free_points -o {out}.npz --set steps=5",
    "compare": "compare in/pair.npz --only center,shift,retrieval -o {out}.json",
    "data mad": "data mad -o {out} --limit 300",
    "data emoji": "data emoji in/packages -o {out} --size 16",
    "train": "train in/config.yaml -o {out}",
    "encode": "encode in/photos -m open_clip:in/run/model -o {out}.safetensors --workers 0",
    "encode texts": "encode in/texts.txt -m open_clip:in/run/model -o {out}.npz --workers 0",
    "encode on processes": (
        "encode in/photos -m open_clip:in/run/model -o {out}.safetensors --on processes:2"
    ),
    "invert a map": "invert ridge_map in/image.npz --bank in/pair.npz -o {out}.safetensors",
    "invert": (
        "invert oti in/photos.safetensors -m open_clip:in/run/model -o {out}.safetensors"
        " --set steps=6 --batch-size 8"
    ),
    "zoo": (
        "zoo -m open_clip:in/run/model -d in/texts.txt -d in/photos -o {out}"
        " --measures rmg,l2m --tasks retrieval --workers 0"
    ),
    "study": "study sphere_pairs -o {out}",
    "studies": "study all -o {out} --only sphere_pairs --only nine_points",
}
# command lines that run in milliseconds on a few pairs: what is fuzzed
LINES = (
    "measure pair.npz",
    "measure pair.npz --only rmg,hubness --json --seed 3",
    "evaluate pair.npz --only retrieval --json",
    "measure pair.npz --only mmd --set max_rows=20 --json",
    "search pair.npz --query pair.npz --protocol self_removed --json",
    "close center pair.npz -o out.npz --force",
    "close fit standardize pair.npz -o map.safetensors --force",
    "close fit zscore pair.npz -o scales.json --force",
    "convert pair.npz out.safetensors --force",
    "preflight pair.npz --only retrieval --json",
    "compare pair.npz --only center,retrieval --json",
    "list measures --json",
    "explain rmg",
    "simulate free_points -o points.npz --set steps=2 --force",
    "invert ridge_map pair.npz --bank pair.npz -o i.safetensors --force",
    "data check mnist",
)
CONFIG = trained.config(steps=10, watch={"measure": 5}, checkpoint={"every": 2})
# inputs that commands make, in this order
MADE = (
    "close fit standardize in/pair.npz -o in/map.safetensors",
    "close fit center in/wide.npz -o in/wide_map.safetensors",
    "convert in/wide.npz in/shards",
    "train in/config.yaml -o in/run",
    "encode in/photos -m open_clip:in/run/model -o in/photos.safetensors --workers 0",
    "close fit drop_dims in/narrow.npz -o in/narrow_map.safetensors",
)


def write_inputs(folder: Path) -> None:
    """The inputs of all commands but those of ``MADE``, in ``folder/in``."""
    from PIL import Image

    import modalgap as mg

    into = folder / "in"
    into.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((PAIRS, 32)).astype(np.float32)
    names, kinds = [f"{i}.jpg" for i in range(PAIRS)], np.arange(PAIRS) % 3
    image = mg.Embeddings(rows + 0.3, "image", names, {"kind": kinds})
    other = rows + rng.standard_normal(rows.shape).astype(np.float32)
    mg.save(mg.Pair(image, other), into / "pair.npz")
    mg.save(image, into / "image.npz")
    width = CONFIG["model"]["architecture"]["model_cfg"]["embed_dim"]
    mg.save(mg.Pair(rows[:, :width], other[:, :width]), into / "narrow.npz")
    mg.save(mg.Pair(*rng.standard_normal((2, WIDE, 4)).astype(np.float16)), into / "wide.npz")
    into.joinpath("texts.txt").write_text("\n".join(f"a thing number {i}" for i in range(200)))
    into.joinpath("config.yaml").write_text(yaml.safe_dump(CONFIG))
    into.joinpath("photos").mkdir()
    for i in range(60):
        pixels = rng.integers(0, 255, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(into / "photos" / f"{i:03}.png")
    into.joinpath("packages", "noto").mkdir(parents=True)
    shapes = {f"thing {i}": {"body": f"<circle r='{i % 9 + 3}'/>"} for i in range(40)}
    icons = {name.replace(" ", "-"): shape for name, shape in shapes.items()}
    into.joinpath("packages", "noto", "icons.json").write_text(json.dumps({"icons": icons}))
