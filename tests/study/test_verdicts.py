"""Verdicts: what they compare with, and what a terminal shows of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Run

from modalgap.study import STUDIES, Number
from modalgap.verdicts import CLOSED_FORM, PAPER, counted, missing

PAPERS = re.compile(r"et al\. 20\d\d|arXiv")


def verdict(text: str, against: str = PAPER) -> dict[str, str]:
    return {"claim": "c", "where": "w", "against": against, "published": "", "ours": "",
            "verdict": text, "note": ""}  # fmt: skip


@pytest.mark.parametrize("study", STUDIES.values(), ids=list(STUDIES))
def test_published_results_name_their_paper(study: object) -> None:
    for each in study.published:  # type: ignore[attr-defined]
        assert each.against != PAPER or PAPERS.search(each.where), each.where
        if "closed form" in each.where or "is that of the closed form" in each.claim:
            assert each.against == CLOSED_FORM, each.claim
        if isinstance(each, Number) and "independent computation" in each.note:
            assert each.against == "reference", each.claim


def test_counts_and_reasons() -> None:
    found = [
        verdict("agrees"), verdict("differs: by 1"), verdict("not computed: needs b"),
        verdict("not computed: needs a"), verdict("not computed: needs a"),
    ]  # fmt: skip
    assert counted(found) == "1 agrees, 1 differs, 3 not computed"
    assert missing(found) == [("needs a", 2), ("needs b", 1)]


def test_a_terminal_shows_what_differs(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    code, out, err = run("study", "three_points", "-o", folder)
    assert code == 0
    assert "less than a minute on two cores with the default options" in err
    assert "8 closed forms: 8 agree, 0 differ, 0 not computed" in out
    assert "The slope of the loss" not in out, "a verdict that agrees"
    assert f"all 10 verdicts: see {folder / 'report.html'}" in out
    page = (folder / "report.html").read_text()
    assert "The slope of the loss" in page
    assert "2 published results: 2 agree" in page
    assert "reusing the finished result" in run("study", "three_points", "-o", folder)[2]
    before = (folder / "study.json").read_bytes()
    other = ("study", "three_points", "-o", folder, "--set", "farthest=5")
    code, out, err = run(*other)
    assert (code, out) == (2, "")
    assert "other settings (farthest: 10" in err
    assert (folder / "study.json").read_bytes() == before
    assert run(*other, "--force")[0] == 0
