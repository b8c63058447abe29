"""The study of figure 3 of Chowers et al. 2026."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap import errors
from modalgap.study import three_points


def test_everything_agrees(tmp_path: Path) -> None:
    table = three_points(tmp_path)
    assert {each["verdict"] for each in table.verdicts} == {"agrees"}
    assert len(table.rows) == 12
    assert (tmp_path / "report.html").read_text().count("<svg") == 4


def test_a_wrong_temperature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match="temperatures must be"):
        three_points(tmp_path, temperatures=(0.0,))
