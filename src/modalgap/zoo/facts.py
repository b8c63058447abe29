"""Facts about a model: width, parameters, temperature, and the training data that its name tells.

Names of training sets are from the registry of open_clip, whose tags begin with them. Sizes are
the nominal numbers of image-text pairs, before links broke. Filtered pools (CommonPool, DataComp
below 1B) have no size here: a file of facts gives it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.encode import Encoder
from modalgap.errors import FileError
from modalgap.zoo.csv_file import read_csv

Facts = Mapping[str, str | float]

# beginning of the tag: training set, million pairs
TRAINING: dict[str, tuple[str, float]] = {
    "openai": ("WIT", 400),
    "laion400m": ("LAION-400M", 400),
    "laion2b": ("LAION-2B", 2000),
    "laion5b": ("LAION-5B", 5000),
    "laion_aesthetic": ("LAION-Aesthetic", 900),
    "metaclip_400m": ("MetaCLIP-400M", 400),
    "metaclip_fullcc": ("MetaCLIP-2.5B", 2500),
    "datacomp1b": ("DataComp-1B", 1400),
    "datacomp_xl": ("DataComp-1B", 1400),
    "dfn2b": ("DFN-2B", 2000),
    "dfn5b": ("DFN-5B", 5000),
    "merged2b": ("Merged-2B", 2000),
    "webli": ("WebLI", 10000),
    "yfcc15m": ("YFCC-15M", 15),
    "cc12m": ("CC12M", 12),
}
UNITS = {"m": 1.0, "b": 1000.0}
TEXT = ("library", "training_data")  # facts that are no numbers
KEY = "model_fullname"  # of tables of CLIP_benchmark: "ViT-L-14 openai"
COLUMNS = {"upstream_dataset": "training_data", "samples_seen": "samples_seen", "gmacs": "gmacs"}


def facts_of(encoder: Encoder) -> dict[str, str | float]:
    """Library, width, temperature, parameters, and what the name tells about the training.

    Returns:
        ``library``, ``width``, ``temperature`` (τ), ``parameters``, ``training_data``,
        ``training_pairs`` and ``samples_seen`` (both in millions); unknown facts are left out.
    """
    found: dict[str, str | float] = {
        "library": encoder.spec.partition(":")[0],
        "width": float(encoder.dim),
    }
    scale = encoder.logit_scale
    if scale and math.isfinite(scale):
        found["temperature"] = 1 / scale
    model: Any = getattr(encoder, "model", None)
    if hasattr(model, "parameters"):
        found["parameters"] = float(sum(each.numel() for each in model.parameters()))
    return found | named_facts(encoder.spec)


def named_facts(spec: str) -> dict[str, str | float]:
    """What the name of a model of open_clip's registry tells about its training."""
    library, _, rest = spec.partition(":")
    _, slash, tag = rest.partition("/")
    found: dict[str, str | float] = {}
    if library != "open_clip" or not slash or "/" in tag or "@" in tag:
        return found  # the weights of a file can be trained on anything
    known = [name for name in TRAINING if re.match(rf"{name}(_|$)", tag)]
    if known:
        found["training_data"], found["training_pairs"] = TRAINING[max(known, key=len)]
    samples = re.search(r"_s([0-9]+)([mb])_", tag)
    if samples:
        found["samples_seen"] = float(samples[1]) * UNITS[samples[2]]
    return found


def read_facts(path: str | Path) -> dict[str, dict[str, str | float]]:
    """Facts from a CSV file: one line per model, the model in the first column.

    The first column is ``model`` (LIBRARY:MODEL) or ``model_fullname`` ("ARCHITECTURE TAG" of
    open_clip, as in the tables of CLIP_benchmark). In the latter, ``upstream_dataset``,
    ``samples_seen`` and ``gmacs`` are read, the first line of each model. Otherwise every column
    is a fact; cells that are numbers are read as numbers.

    Raises:
        FileError: the file cannot be read, or has neither column.
    """
    columns, lines = read_csv(path)
    found: dict[str, dict[str, str | float]] = {}
    if KEY in columns:
        for line in lines:
            architecture, _, tag = line[KEY].partition(" ")
            own = {new: line[old] for old, new in COLUMNS.items() if line.get(old)}
            facts = {name: _number(value) for name, value in own.items()}
            if isinstance(facts.get("samples_seen"), float):
                facts["samples_seen"] = float(facts["samples_seen"]) / 1e6
            found.setdefault(f"open_clip:{architecture}/{tag}", facts)
    elif "model" in columns:
        for line in lines:
            name = line.pop("model")
            found[name] = {key: _number(value) for key, value in line.items() if value}
    else:
        raise FileError(f"{path}: must have a column model or {KEY}; found {', '.join(columns)}")
    return found


def _number(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
