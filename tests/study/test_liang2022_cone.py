"""The study cone_effect: its rows are those of the simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors
from modalgap.simulate import cone_effect as simulation
from modalgap.study import cone_effect
from modalgap.trace import points

SMALL = {"n": 32, "dim": 16, "layers": 3, "repeats": 1}


def test_rows_are_those_of_the_simulation(tmp_path: Path) -> None:
    table = cone_effect(tmp_path, **SMALL)
    for column, bias in (("bias", True), ("free", False)):
        found = simulation(**SMALL, bias=bias)  # type: ignore[arg-type]
        for row in ("relu", "relu, closed form", "maxout"):
            assert table.rows[row][column] == found.rows[row]["cosine"]
            assert table.rows[row][f"{column}_2"] == found.rows[row]["layer_2"]
    normed = simulation(**SMALL, norm="after", architectures=["relu"])  # type: ignore[arg-type]
    assert table.rows["relu, norm"]["later_3"] == normed.rows["relu"]["layer_3"]
    assert "relu, norm, closed form" in table.rows
    assert len(points(table.rows["transformer"]["later"])[0]) == 4
    assert (tmp_path / "curves.csv").exists()
    verdicts = {each["claim"]: each["verdict"] for each in table.verdicts}
    late = verdicts["relu, with bias: the mean cosine is 0.9477 after 10 layers"]
    assert late.startswith("not computed")


@pytest.mark.parametrize(("name", "value"), [("n", 7), ("dim", 1), ("layers", 0), ("repeats", 0)])
def test_options_out_of_range(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(errors.OptionError, match=name):
        cone_effect(tmp_path, **{name: value})


@pytest.mark.slow
def test_published_relu(tmp_path: Path) -> None:
    table = cone_effect(tmp_path, layers=2)
    found = [each for each in table.verdicts if not each["verdict"].startswith("not computed")]
    assert len(found) == 8
    assert all(each["verdict"] == "agrees" for each in found), found
