"""Training that takes a second: a tiny model on few digits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

VIT = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 28,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 7,
        },
        "text_cfg": {
            "context_length": 8,
            "hf_tokenizer_name": "words",
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
TINY: dict[str, Any] = {
    "model": {"architecture": VIT},
    "data": {"limit": 300, "captions": "object_attribute_2"},
    "batch": 32,
    "steps": 12,
    "optimiser": {"lr": 2e-3, "warmup": 2, "weight_decay": 0.1},
    "watch": {"every": 1, "measure": 6, "rows": 100, "tensorboard": False},
    "checkpoint": {"every": 4},
    "accelerator": "cpu",
}


def config(**changes: Any) -> dict[str, Any]:
    """``TINY`` with sections laid over it."""
    made = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in TINY.items()
    }
    if "source" in changes.get("data", {}):  # captions and limit are for MAD
        made["data"] = {}
    for key, value in changes.items():
        under = made.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping) and key != "losses"
        made[key] = {**under, **value} if both else value  # type: ignore[dict-item]
    return made


def write(path: Path, **changes: Any) -> Path:
    """A configuration file."""
    path.write_text(yaml.safe_dump(config(**changes)))
    return path


def losses(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) of a run's log."""
    from modalgap.train.log import read_log

    return [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


def command(*arguments: object) -> subprocess.Popen[str]:
    """``modalgap ...`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "modalgap", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
