"""The studies cosine_rise and weight_variance: their rows are those of the simulations."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors, simulate
from modalgap.study import cosine_rise, weight_variance


def test_cosine_rise(tmp_path: Path) -> None:
    table = cosine_rise(tmp_path, dims=[16, 64], draws=2000)
    found = simulate.cosine_rise([16, 64], ratios=[1, 2, 4], draws=2000)
    assert table.rows == found.rows
    verdicts = [each["verdict"] for each in table.verdicts]
    assert sum(each.startswith("not computed") for each in verdicts) == 3
    assert verdicts.count("agrees") == len(verdicts) - 3


def test_weight_variance(tmp_path: Path) -> None:
    small = {"n": 16, "dim": 32, "networks": 50, "layers": 3}
    table = weight_variance(tmp_path, **small)
    for name, bias in (("bias", True), ("free", False)):
        found = simulate.weight_variance(**small, bias=bias)
        for layer, row in found.rows.items():
            assert table.rows[layer][f"{name}_share"] == row["share"]
            assert table.rows[layer][f"{name}_parts"].value == pytest.approx(1)
    verdicts = {each["claim"]: each["verdict"] for each in table.verdicts}
    assert sum(each == "agrees" for each in verdicts.values()) >= 4
    assert not any(each.startswith("differs") for each in verdicts.values())


@pytest.mark.parametrize(("name", "value"), [("dims", [1]), ("norm", 0.0), ("draws", 0)])
def test_options_of_cosine_rise(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        cosine_rise(tmp_path, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("n", 1), ("dim", 1), ("networks", 1), ("layers", 0)])
def test_options_of_weight_variance(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(errors.OptionError, match=name):
        weight_variance(tmp_path, **{name: value})
