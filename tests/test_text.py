"""Text from data in files of other programs."""

from __future__ import annotations

import csv
import io

import pytest

from modalgap.result import Table, Value
from modalgap.text import csv_cell


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
