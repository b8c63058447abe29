"""The study first_page: rows of the simulation and of a pair, and the table of SCIENCE 3b."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import halves
from modalgap.simulate import first_page as simulation
from modalgap.simulate.first_page import compared
from modalgap.study import first_page
from modalgap.trace import points


def test_rows_of_the_simulation_and_of_a_pair(tmp_path: Path) -> None:
    x, y = two_cones(60, 12)
    pair = mg.Pair(x, y)
    path = str(mg.save(pair, tmp_path / "cones.safetensors"))
    table = first_page(tmp_path / "out", pair=path, splits=2, gaps=[0.5], n=60, k=5, seed=1)
    drawn = simulation(gaps=[0.5], n=60, k=5, seed=1)
    for name, values in drawn.rows.items():
        assert table.rows[f"simulated: {name}"] == values
    each = [compared(*halves(mg.load(path), 0.5, seed), 5, seed) for seed in (1, 2)]  # type: ignore[arg-type]
    for asks in ("text", "image"):
        row = table.rows[f"cones, {asks} queries: centred"]
        for name in ("image_counted", "text_by_query", "error_predicted"):
            expected = np.mean([found["centred"][asks][name] for found in each])
            assert row[name].value == pytest.approx(expected)
    xs, ys = points(table.rows["cones"]["error_by_query"])
    assert len(xs) == len(ys) == 4 * 2 * 3
    assert (tmp_path / "out" / "first_page.png").is_file()
    unjudged = [each for each in table.verdicts if each["verdict"].startswith("not computed")]
    assert all("clip_coco500" in v["verdict"] or "embedded" in v["verdict"] or "gap" in v["claim"]
               for v in unjudged)  # fmt: skip


@pytest.mark.slow
def test_the_table_of_clip(tmp_path: Path) -> None:
    table = first_page(tmp_path, pair=str(find_shared("clip_coco500.npy")))
    counted = [each for each in table.verdicts if "COCO" in each["where"]]
    assert len(counted) == 24
    assert {each["verdict"] for each in counted} == {"agrees"}
    assert table.rows["clip_coco500"]["error_by_query"].value < 0.07
    assert table.rows["clip_coco500"]["error_predicted"].value < 0.12


def test_refusals(tmp_path: Path) -> None:
    for name, value in (("gaps", [1.7]), ("n", 5), ("splits", 0), ("k", 0), ("seed", -1)):
        with pytest.raises(errors.OptionError, match=name):
            first_page(tmp_path / "out", **{name: value})
    x, y = two_cones(30, 8)
    classes = mg.save(mg.Pair(x, y[:5], labels=np.arange(30) % 5), tmp_path / "c.safetensors")
    with pytest.raises(errors.OptionError, match="must hold images and captions"):
        first_page(tmp_path / "out", pair=str(classes))
