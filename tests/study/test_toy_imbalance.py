"""The study toy_imbalance draws the simulation, and adds two fine-tunings."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors
from modalgap.simulate import information_imbalance
from modalgap.study import toy_imbalance

ROWS = ["0", "1", "2", "3", "4", "5", "fine-tuned, learnable τ", "fine-tuned, frozen τ"]


def test_rows_are_those_of_the_simulation(tmp_path: Path) -> None:
    table = toy_imbalance(tmp_path, steps=4, seeds=1, hidden=8)
    assert list(table.rows) == ROWS
    options = {"steps": 4, "seeds": 1, "hidden": 8}
    alone = information_imbalance(**options)
    for name, values in alone.rows.items():
        assert table.rows[name].items() >= values.items()
        assert table.rows[name]["omitted"].value == float(name)
    tuned = information_imbalance(**options, omitted=[4], full_first=4, frozen=True)
    assert table.rows[ROWS[-1]]["rmg"] == tuned.rows["4"]["rmg"]
    for name in ("report.html", "toy_imbalance.png", "curves.csv"):
        assert (tmp_path / name).is_file()
    assert len(table.verdicts) == 13
    assert not any(each["verdict"].startswith("not computed") for each in table.verdicts)


@pytest.mark.slow
def test_findings_of_the_default(tmp_path: Path) -> None:
    verdicts = {each["claim"]: each["verdict"] for each in toy_imbalance(tmp_path).verdicts}
    differs = [claim for claim, verdict in verdicts.items() if verdict != "agrees"]
    assert all("distance of means" in each or "larger gap" in each for each in differs)


def test_refusals(tmp_path: Path) -> None:
    for name, value in (("private", "x"), ("hidden", -1), ("steps", 0), ("seeds", 0), ("seed", -1)):
        with pytest.raises(errors.OptionError, match=name):
            toy_imbalance(tmp_path, **{name: value})
