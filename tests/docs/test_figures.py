"""The index of figures and tables: each has results of a study, and its state is in words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from modalgap.result import Table
from modalgap.study import STUDIES

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

import figures
import gallery

WHERE = {each.where for study in STUDIES.values() for each in study.published
         if each.against == "paper"}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Liang et al. 2022, figure 3b", {"figure 3b"}),
        ("Liang et al. 2022, appendix", {"appendix"}),
        ("Chowers et al. 2026, figures 4 and 5", {"figure 4", "figure 5"}),
        ("Chowers et al. 2026, figure 7, theorem 3.4", {"figure 7", "theorem 3.4"}),
        ("Chowers et al. 2026, figures 8 to 10", {"figure 8", "figure 9", "figure 10"}),
        ("Mistretta et al. 2025, tables 1, 2 and 4", {"table 1", "table 2", "table 4"}),
        (
            "Schrodi et al. 2025, section 4, figures 4a–c, 12",
            {"section 4", "figure 4a", "figure 4b", "figure 4c", "figure 12"},
        ),
    ],
)
def test_labels(where: str, found: set[str]) -> None:
    assert figures.labels(where) == found


def test_parts_without_a_row_belong_to_their_figure() -> None:
    assert figures.shown_in("Schrodi et al. 2025, figure 8c", "schrodi2025", "figure 8")
    assert figures.shown_in("Schrodi et al. 2025, figure 7a", "schrodi2025", "figure 7")
    assert not figures.shown_in("Schrodi et al. 2025, figure 7c", "schrodi2025", "figure 7")
    assert not figures.shown_in("Liang et al. 2022, figure 3b", "liang2022", "figure 3")
    assert not figures.shown_in("Liang et al. 2022, figure 3", "chowers2026", "figure 3")
    assert figures.shown_in("Chowers et al. 2026, theorem 3.2", "chowers2026", "figure 6")


def test_no_figure_or_table_is_without_results() -> None:
    assert figures.without_results(WHERE) == []
    assert ("liang2022", "figure 1") in figures.without_results(
        WHERE - {"Liang et al. 2022, figure 1"}
    )


@pytest.mark.parametrize("where", sorted(each for each in WHERE if figures.paper_of(each)))
def test_results_are_of_a_figure_or_table_of_the_index(where: str) -> None:
    paper = figures.paper_of(where)
    known = [each for each in figures.FIGURES[paper] if figures.shown_in(where, paper, each)]
    assert known or all(each.startswith("section") for each in figures.labels(where))


def made(verdicts: list[tuple[str, str]]) -> Any:
    """A result of a study with these verdicts: place and verdict."""
    table = Table(
        name="three_points", source="", vary="", rows={}, heads={}, settings={},
        verdicts=[{"claim": where, "where": where, "against": "paper", "published": "1",
                   "ours": "1", "verdict": verdict, "note": ""} for where, verdict in verdicts],
    )  # fmt: skip
    return gallery.Made(STUDIES["three_points"], table, Path(), gallery.EMBEDDED_TITLE)


def test_the_page_of_verdicts() -> None:
    page = gallery.reproduced(
        [
            made(
                [
                    ("Liang et al. 2022, figure 3b", "agrees"),
                    ("Liang et al. 2022, figure 3b", "differs: by 1; a reason"),
                    ("Liang et al. 2022, table 1", "not computed: needs a data set"),
                    ("Chowers et al. 2026, figures 9 and 10", "not computed: needs weights"),
                ]
            )
        ]
    )
    lines = page.splitlines()

    def state(*cells: str) -> str:
        (row,) = (line for line in lines if line.startswith(f"| {' | '.join(cells)} | "))
        return row.split(" | ")[-1].removesuffix(" |")

    assert state("Liang et al. 2022", "figure 3b") == "1 agrees, 1 differs"
    assert state("Liang et al. 2022", "table 1") == "1 ready: needs a data set"
    for label in ("figure 9", "figure 10"):
        assert state("Chowers et al. 2026", label) == "1 ready: needs weights"
    assert state("Chowers et al. 2026", "appendix") == "its numbers are not public"
    assert state("Schrodi et al. 2025", "table 2") == "no result"
    assert any(line.endswith("| ready, needs weights |") for line in lines)
    assert "1 ready" in page
    assert "not computed" not in page
    assert (
        sum(" | no result |" in line for line in lines)
        == sum(map(len, figures.FIGURES.values())) - 5
    )


def test_empty_rows_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    result = made(
        [
            ("Liang et al. 2022, figure 3b", "differs: by 1; a reason"),
            ("Liang et al. 2022, table 1", "differs: by 1"),
        ]
    )
    gallery.check([result])
    said = capsys.readouterr().err.splitlines()
    assert "Liang et al. 2022, table 1: Liang et al. 2022, table 1: no reason" in said
    assert "Liang et al. 2022, table 2: no result" in said
    assert not any(
        "figure 3b" in line or ("appendix" in line and "Chowers" in line) for line in said
    )
