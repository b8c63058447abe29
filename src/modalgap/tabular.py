"""Numbers in rows and columns, written as CSV, Markdown or HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from modalgap.columns import Column
from modalgap.text import csv_cell, markdown_cell, readable
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
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    columns = as_columns(found)
    lines.writerow(map(csv_cell, columns))
    for row in zip(*(values for _, values in columns.values()), strict=True):
        lines.writerow([csv_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()


def as_columns(found: Numbers) -> dict[str, Column]:
    """The names of the rows, then for each number its values and the ends of its interval.

    A name that another column has ends in ``_``.
    """
    made: dict[str, Column] = {found.vary: (str, list(found.rows))}
    for name in found.heads:
        values = [row.get(name) for row in found.rows.values()]
        ends = [(None, None) if each is None else each.interval or (None, None) for each in values]
        for key, column in (
            (name, [None if each is None else each.value for each in values]),
            (f"{name}_low", [low for low, _ in ends]),
            (f"{name}_high", [high for _, high in ends]),
        ):
            made[unused(key, made)] = (float, column)
    return made


def unused(name: str, names: Container[str]) -> str:
    """The name, with ``_`` at its end until it is none of ``names``."""
    while name in names:
        name += "_"
    return name


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
    rows = [
        [row, *(_cell(values.get(name)) for name in found.heads)]
        for row, values in found.rows.items()
    ]
    return html_table([found.vary, *found.heads.values()], rows, found.notes)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table of texts, and notes below it; without colours, so that it fits light and dark."""
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{html.escape(readable(cell))}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip([heads, *rows], ["th", *["td"] * len(rows)], strict=True)
    )
    below = "".join(f"<p>{html.escape(readable(note))}</p>" for note in notes)
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{below}"


def by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Reason to the names that were skipped for it."""
    found: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        found.setdefault(reason, []).append(name)
    return found


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


def interval(value: Number) -> str:
    """The interval: "[0.843, 0.860]"; "" if there is none."""
    return "" if value.interval is None else "[{}, {}]".format(*map(number, value.interval))


def _cell(value: Number | None) -> str:
    return "–" if value is None else f"{number(value.value)} {interval(value)}".rstrip()
