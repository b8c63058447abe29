"""Text from data in files of other programs."""

from __future__ import annotations

import csv
import io

import pytest

from modalgap.errors import InputError
from modalgap.report.page import render_page
from modalgap.result import Table, Value
from modalgap.text import csv_cell, markdown_cell


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1"])
def test_formulas_become_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    rows = {text: {"rmg": Value(value=-0.5)}}
    table = Table(name="a", source="", vary="model", heads={"rmg": "RMG"}, rows=rows, settings={})
    lines = list(csv.reader(io.StringIO(table.to_csv(), newline="")))
    assert lines[1][:2] == [f"'{text}", "-0.5"]


@pytest.mark.parametrize("text", ["", "a", "a=b", "-0.5", "+1e-3", "-.5", "3", "'x"])
def test_other_cells_stay(text: str) -> None:
    assert csv_cell(text) == text


def test_no_line_ends_inside_a_cell() -> None:
    assert csv_cell("a\r=1") == "a =1"


def table_of(name: str, **settings: object) -> Table:
    rows = {name: {"rmg": Value(value=0.5)}}
    heads = {"rmg": name}
    return Table(name="a", source="", vary="model", heads=heads, rows=rows, settings=settings)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),  # an unescaped backslash would escape the one of "|"
        ("![a](http://b/c.png)", r"![a]\(http://b/c.png)"),
        ("<b>&`c`", "&lt;b>&amp;`c`"),
        ("a\n\x1b[1mb", "a \ufffd[1mb"),
        ("rmg_low [1, 2] (a)", "rmg_low [1, 2] (a)"),
    ],
)
def test_cells_of_markdown(text: str, cell: str) -> None:
    assert markdown_cell(text) == cell
    assert table_of(text).to_markdown().splitlines()[2] == f"| {cell} | 0.5000 |"


def test_html_has_no_characters_that_it_forbids() -> None:
    hostile = "a\0\x1b\x85\u202eb\u2066<c>"
    shown = "a\ufffd\ufffd\ufffd\ufffdb\ufffd&lt;c&gt;"
    for made in (table_of(hostile)._repr_html_(), render_page([], title=hostile, subtitle=hostile)):
        assert made.count(shown) >= 2
        assert not set(made) & set("\0\x1b\x85\u202e\u2066")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="Table: must hold only text, finite numbers"):
        table_of("a", batch=value).to_json()
