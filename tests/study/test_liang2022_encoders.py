"""The study random_encoders: one summary per encoder and inputs, one row per seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors, simulate
from modalgap.study import random_encoders


@pytest.mark.slow
def test_rows_are_those_of_the_simulation(tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    small = {"n": 12, "seeds": 2}
    table = random_encoders(tmp_path, **small)
    found = simulate.random_encoders(**small, encoder="mlp")  # type: ignore[arg-type]
    mine = {name: table.rows["MLP, real"][name] for name in found.rows["all seeds"]}
    assert mine == found.rows["all seeds"]
    assert table.rows["MLP, seed 1"] == found.rows["seed 1"]
    assert len(table.rows) == 8 + 4 * 2
    verdicts = [each["verdict"] for each in table.verdicts]
    assert sum(each.startswith("not computed") for each in verdicts) == 1


@pytest.mark.parametrize(("name", "value"), [("n", 3), ("seeds", 1), ("seed", -1)])
def test_options_out_of_range(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(errors.OptionError, match=name):
        random_encoders(tmp_path, **{name: value})
