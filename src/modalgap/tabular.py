"""Numbers in rows and columns, written as CSV, Markdown or HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Protocol

from modalgap.text import csv_cell, markdown_cell
from modalgap.verdicts import NAMES, Verdict, by_kind


class Number(Protocol):
    """A number with its interval."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""


class Numbers(Protocol):
    """What is written, such as ``modalgap.result.Table``."""

    @property
    def vary(self) -> str:
        """The head of the names of the rows."""

    @property
    def heads(self) -> Mapping[str, str]:
        """The columns, name to head."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Number]]:
        """Name of the row to name of the column to number."""

    @property
    def notes(self) -> Sequence[str]:
        """Remarks."""

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Comparisons with expected results."""


def as_csv(found: Numbers) -> str:
    """One line per row: each number with the ends of its interval."""
    names = list(found.heads)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([csv_cell(found.vary), *(f"{csv_cell(n)}{end}" for n in names for end in ("", "_low", "_high"))])
    for row, values in found.rows.items():
        cells = [csv_cell(row)]
        for name in names:
            value = values.get(name)
            ends = ("", "") if value is None or value.interval is None else value.interval
            cells += ["" if value is None else repr(value.value), *map(str, ends)]
        lines.writerow(cells)
    return text.getvalue()


def as_markdown(found: Numbers) -> str:
    """A table of the numbers, and one of each kind of verdicts."""
    lines = [_line([found.vary, *found.heads.values()]), "|---" * (1 + len(found.heads)) + "|"]
    lines += [
        _line([row, *(_cell(values.get(name)) for name in found.heads)])
        for row, values in found.rows.items()
    ]
    for kind, own in by_kind(found.verdicts).items():
        _, one, column = NAMES[kind]
        lines += ["", _line([one, column, "Ours", "Verdict"]), "|---|---|---|---|"]
        for each in own:
            claim = f"{each['claim']} ({each['where']})"
            note = f" ({each['note']})" if each["note"] else ""
            lines.append(_line([claim, each["published"], each["ours"], each["verdict"] + note]))
    return "\n".join(lines) + "\n"


def as_html(found: Numbers) -> str:
    """A table of the numbers, for notebooks."""
    rows = [[found.vary, *found.heads.values()]]
    rows += [
        [row, *(_cell(values.get(name)) for name in found.heads)]
        for row, values in found.rows.items()
    ]
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip(rows, ["th", *["td"] * (len(rows) - 1)], strict=True)
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in found.notes)
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{notes}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_cell, cells))} |"


def number(value: float) -> str:
    """A number with four significant digits, without an exponent if it is short enough.

    Whole numbers from 2 on, such as counts, have no decimals.
    """
    if value == 0:
        return "0"
    if abs(value) >= 2 and value == int(value) and abs(value) < 1e7:
        return f"{value:.0f}"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 4 - len(str(int(abs(value)))) + (abs(value) < 1))
        return f"{value:.{min(digits, 4)}f}"
    return f"{value:.3g}"


def _cell(value: Number | None) -> str:
    if value is None:
        return "–"
    if value.interval is None:
        return number(value.value)
    low, high = map(number, value.interval)
    return f"{number(value.value)} [{low}, {high}]"
