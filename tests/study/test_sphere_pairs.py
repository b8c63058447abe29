"""The study of figure 3b of Liang et al. 2022."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors, simulate
from modalgap.study import sphere_pairs


def test_every_stated_number_agrees(tmp_path: Path) -> None:
    table = sphere_pairs(tmp_path)
    assert len(table.verdicts) == 22
    assert {each["verdict"] for each in table.verdicts} == {"agrees"}
    assert table.rows == simulate.sphere_pairs().rows
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert len(lines) > 1 + 5 * 2 * 181  # the search adds points
    assert (tmp_path / "report.html").read_text().count("<svg") == 2


def test_other_temperatures_are_not_judged(tmp_path: Path) -> None:
    table = sphere_pairs(tmp_path, scales=(7,))
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts)
    with pytest.raises(errors.OptionError, match="scales must be"):
        sphere_pairs(tmp_path, scales=(-1,))
