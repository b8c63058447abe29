"""Tables in a terminal: no number is cut, and no line is longer than the terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from modalgap.result import Table, Value
from modalgap.terminal import UNLIMITED, console, print_columns, print_numbers

HEADS = {"a": "loss at the largest distance", "b": "slope", "c": "distance of means", "d": "share"}
ROWS = {
    f"row number {at}": {
        name: Value(at + 0.1234 * (1 + place), (at - 0.5, at + 0.5))
        for place, name in enumerate(HEADS)
    }
    for at in range(9)
}
TABLE = Table(
    name="one", source="a paper", vary="what [varies]", rows=ROWS, heads=HEADS, settings={},
    notes=["a note"],
    verdicts=[
        {"claim": "<b>", "where": "w", "against": kind, "published": "1", "ours": "1",
         "verdict": verdict, "note": ""}
        for kind, verdict in (("paper", "agrees"), ("paper", "differs: by 1"),
                              ("closed form", "agrees"))
    ],
)  # fmt: skip
NUMBER = re.compile(r"\d+\.\d+ ±\d\.\d{3}")


def printed(table: Table, width: int) -> str:
    file = io.StringIO()
    print_numbers(Console(file=file, width=width, color_system=None, highlight=False), table)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("few", [False, True])
def test_every_number_is_whole(width: int, few: bool) -> None:
    rows = {f"r{at}": row for at, row in enumerate(ROWS.values()) if at < 7} if few else ROWS
    table = Table(name="one", source="", vary="x", rows=rows, heads=HEADS, settings={})
    whole = NUMBER.findall(printed(table, UNLIMITED))
    assert len(whole) == len(rows) * len(HEADS)
    text = printed(table, width)
    assert sorted(NUMBER.findall(text)) == sorted(whole)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_blocks_repeat_the_names() -> None:
    assert printed(TABLE, 200).count("row number 3") == 1
    assert printed(TABLE, 40).count("row number 3") == len(HEADS)


def test_a_column_wider_than_the_terminal_is_not_cut() -> None:
    file = io.StringIO()
    print_columns(Console(file=file, width=20), ["name", "x"], [("a", "1234567890" * 3)])
    assert "1234567890" * 3 in file.getvalue()


def test_a_pipe_has_no_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_columns(console(), ["name", *map(str, range(40))], [("a", *["0.123456"] * 40)])
    assert len(capsys.readouterr().out.splitlines()) == 5  # with blank lines


def test_str_and_html(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = str(TABLE).splitlines()
    assert lines[0] == "one (a paper)"
    assert "a note" in lines
    assert lines[-2:] == [
        "2 published results: 1 agrees, 1 differs, 0 not computed",
        "1 closed forms: 1 agrees, 0 differ, 0 not computed",
    ]
    assert len(NUMBER.findall(str(TABLE))) == len(ROWS) * len(HEADS)
    assert all(len(line) <= 80 for line in lines)
    page = Table(name="one", source="", vary="<x>", rows=ROWS, heads=HEADS, settings={},
                 notes=["<script>"])._repr_html_()  # fmt: skip
    assert "&lt;x&gt;" in page
    assert "<script>" not in page
    assert page.count("<tr>") == 1 + len(ROWS)


def test_markdown_separates_checks_from_published_results() -> None:
    text = TABLE.to_markdown()
    assert text.count("| Published result | Published | Ours | Verdict |") == 1
    assert text.count("| Check | Closed form | Ours | Verdict |") == 1
