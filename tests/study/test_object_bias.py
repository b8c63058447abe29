"""Object bias of many models: a zoo whose correlations are known, and the cells of its commands."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from layouts.collections import compositions
from scipy.stats import kendalltau

import modalgap as mg
from modalgap.errors import FileError, InputError
from modalgap.result import Value
from modalgap.study import object_bias
from modalgap.study.schrodi2025.object_bias import CELLS
from modalgap.zoo import Zoo
from modalgap.zoo.cells import read_cells
from modalgap.zoo.verb import run_cells

TOP1, R1 = "zero_shot.top1", "retrieval.image_to_text_r1"


def zoo(path: Path, count: int = 10) -> tuple[Path, dict[str, list[float]]]:
    """Random numbers; models of the second half have a larger training set and a smaller bias."""
    path.mkdir()
    random = np.random.default_rng(0)
    columns = {name: random.random(count).tolist() for name in ("image", "text", "top1", "r1")}
    columns["image"] = [x - (i >= count // 2) for i, x in enumerate(columns["image"])]
    values, facts = {}, {}
    for i in range(count):
        bias = {f"moad_{side}": Value(columns[side][i]) for side in ("image", "text")}
        values[f"m{i}"] = {
            "mit-states": {**bias, TOP1: Value(0.1)},
            "mit-states attributes": {TOP1: Value(columns["top1"][i]), **bias},
            "coco": {R1: Value(columns["r1"][i])},
        }
        facts[f"m{i}"] = {"training_pairs": 2000.0 if i >= count // 2 else 100.0}
    Zoo(values=values, models=facts).write(path)
    return path, columns


def test_correlations(tmp_path: Path) -> None:
    folder, columns = zoo(tmp_path / "z")
    table = object_bias(tmp_path / "s", zoo=folder)
    titles = {
        "mit-states, MOAD of images": "image",
        "mit-states, MOAD of texts": "text",
        "mit-states, performance: coco, R@1, image to text": "r1",
    }
    halves = {
        "": slice(None),
        " | up to 140 million pairs": slice(5),
        " | over 140 million pairs": slice(5, None),
    }
    assert set(table.rows) == {f"{title}{half}" for title in titles for half in halves}
    for title, name in titles.items():
        for half, part in halves.items():
            x, y = columns[name][part], columns["top1"][part]
            row = table.rows[f"{title}{half}"]
            assert row["tau"].value == pytest.approx(kendalltau(x, y).statistic)
            assert row["x"].value == pytest.approx(np.mean(x))
            assert row["models"].value == len(x)
    found = {each["claim"]: each["verdict"] for each in table.verdicts}
    smaller = "Models trained on large data sets have a smaller MOAD of images: mit-states"
    assert found[smaller] == "agrees"
    assert (tmp_path / "s" / "object_bias.png").is_file()


def test_refusals(tmp_path: Path) -> None:
    few, _ = zoo(tmp_path / "few", 3)
    with pytest.raises(InputError, match="at least 4 models with moad"):
        object_bias(tmp_path / "s", zoo=few)
    with pytest.raises(FileError, match="no such file"):
        object_bias(tmp_path / "s", zoo=tmp_path / "none")


def test_the_cells_of_the_commands(tmp_path: Path) -> None:
    """The zoo computes MOAD, and top-1 of attributes by the prompts of the paper."""
    items = [(a, o, f"{i}.jpg", "test") for i in range(2) for a in ("old", "new") for o in "xyz"]
    compositions(tmp_path / "mit-states", items, spaces=True)
    model = "open_clip:ViT-S-32-alt/random"
    lines = [line for line in csv.reader(CELLS) if "ut-zappos" not in line]
    with (tmp_path / "cells.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*lines[0], "root"])
        out.writerows([model, *line[1:], str(tmp_path)] for line in lines[1:3])
    found = read_cells(tmp_path / "cells.csv")
    made = run_cells(found, tmp_path / "z", measures=["moad"], isolated=False, workers=0)
    assert not made.failed
    cells = made.values[model]
    assert {"moad_image", "moad_text"} <= cells["mit-states"].keys()
    source = mg.data.read("mit-states", root=tmp_path)
    pair = mg.encode(source, model)
    x, attributes = pair.image.unit(), ["new", "old"]
    y = mg.encode(
        mg.data.Source(name="p", texts=[f"an image of a {each} object" for each in attributes]),
        model,
    ).unit()
    right = [
        attributes[i] == own
        for i, own in zip((x @ y.T).argmax(1).tolist(), source.factors["attribute"], strict=True)
    ]
    assert cells["mit-states attributes"][TOP1].value == pytest.approx(np.mean(right))
