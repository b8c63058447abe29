"""The study of nine points, appendix of Liang et al. 2022."""

from __future__ import annotations

from pathlib import Path

from modalgap import simulate
from modalgap.study import nine_points


def test_the_closed_form_and_the_directions_agree(tmp_path: Path) -> None:
    table = nine_points(tmp_path)
    assert len(table.verdicts) == 23
    assert {each["verdict"] for each in table.verdicts} == {"agrees"}
    own = simulate.nine_points()
    near = simulate.nine_points(swap=(6, 8))
    for name, row in table.rows.items():
        assert row["lowest_swapped"] == own.rows[name]["lowest_swapped"]
        assert row["height_near"] == near.rows[name]["height_swapped"]
    assert (tmp_path / "report.html").read_text().count("<svg") == 3
