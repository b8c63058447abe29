"""The study frozen_gap: its rows, times, verdicts, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors
from modalgap.result import Table
from modalgap.simulate import dynamics
from modalgap.study import frozen_gap
from modalgap.study.chowers2026.running import dynamics_rows, reached
from modalgap.trace import points, traced


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return frozen_gap(tmp_path_factory.mktemp("study"), n=30, dim=5, steps=300)


def test_two_centres_keep_the_gap_and_one_has_none(table: Table) -> None:
    for name in ("tight clusters", "wide clusters"):
        assert table.rows[name]["kept"].value == pytest.approx(1, abs=0.05)
    assert table.rows["one centre"]["gap"].value < 0.3
    assert table.rows["one centre, flat"]["gap"].value < 0.3


def test_verdicts(table: Table) -> None:
    found = {each["claim"]: each["verdict"] for each in table.verdicts}
    differs = [claim for claim, verdict in found.items() if verdict != "agrees"]
    assert differs == ["A gap forms from an isotropic start around one centre"]
    assert found[differs[0]].startswith("differs")


def test_rows_are_those_of_the_simulation() -> None:
    options = {"n": 8, "dim": 3, "steps": 20}
    (row,) = dynamics_rows({"a": {"spread": 0.5}}, **options).values()
    own = dynamics(**options, spread=0.5).rows
    assert row["gap"] == own["distance of means"]["end"]
    assert row["gap_start"] == own["distance of means"]["start"]
    assert points(row["loss"])[0] == points(own["loss"]["end"])[0]


def test_reached() -> None:
    value = traced(0.0, [0, 1, 5, 9], [4.0, 3.0, 1.0, 0.5])
    assert reached(value, 0.5) == 5
    assert reached(value, 0.01) is None


def test_files(table: Table, tmp_path: Path) -> None:
    frozen_gap(tmp_path, n=10, dim=3, steps=5)
    text = (tmp_path / "curves.csv").read_text()
    assert text.startswith("start,column,x,y\ntight clusters,loss,0.0,")
    assert (tmp_path / "frozen_gap.png").exists()


@pytest.mark.parametrize(("name", "value"), [("n", 1), ("dim", 2), ("steps", 0), ("seed", -1)])
def test_refusals(name: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match=name):
        frozen_gap(tmp_path, **{name: value})
