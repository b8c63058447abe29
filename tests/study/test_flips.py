"""The study flips: one minus the simulated shares, verdicts, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors
from modalgap.simulate import flip_robustness
from modalgap.study import flips
from modalgap.trace import points


def test_rob_is_one_minus_the_flips(tmp_path: Path) -> None:
    table = flips(tmp_path, dim=16, draws=20_000)
    own = flip_robustness(16, draws=20_000).rows
    for noise, row in table.rows.items():
        x, y = points(row["distance_rob"])
        theirs = points(own[noise]["distance"])
        assert x == theirs[0]
        assert y == pytest.approx([1 - each for each in theirs[1]])
        low, high = row["distance_rob"].interval or (1.0, 0.0)
        assert low < row["distance_rob"].value < high
        assert row["product_closed"].value == pytest.approx(1 - points(own[noise]["product"])[1][0])
    assert {each["verdict"] for each in table.verdicts} == {"agrees"}
    assert (tmp_path / "flips.png").exists()


@pytest.mark.parametrize(("name", "value"), [("dim", 1), ("draws", 1), ("seed", -1)])
def test_refusals(name: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match=name):
        flips(tmp_path, **{name: value})
