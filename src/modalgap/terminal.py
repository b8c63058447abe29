"""Tables as text. Numbers are never cut: a table that is too wide continues in further blocks."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from modalgap.tabular import Number, Numbers, number

FEW = 7  # rows that fit beside one another as columns
SHORT = 16  # characters of their names
UNLIMITED = 100_000  # characters per line of a file or a pipe
NARROWEST = 64  # characters of a measure, its value and its interval; narrower windows wrap lines
BETWEEN, EDGES = 3, 2  # characters between columns and around them
ELSEWHERE = 100  # characters per line of a text, if the width of the terminal is unknown

Row = Sequence[str]  # cells, with markup


def console() -> Console:
    """A console on stdout. Lines of a file or a pipe have any length, unless COLUMNS is set."""
    made = Console(highlight=False)
    limited = made.is_terminal or "COLUMNS" in os.environ
    made.width = max(made.width, NARROWEST) if limited else UNLIMITED
    return made


def text(draw: Callable[[Console], None]) -> str:
    """What ``draw`` prints, without styles, as wide as the terminal."""
    file = io.StringIO()
    width = shutil.get_terminal_size((ELSEWHERE, 24)).columns
    draw(Console(file=file, width=width, color_system=None, highlight=False))
    return "\n".join(line.rstrip() for line in file.getvalue().strip("\n").split("\n"))


def print_numbers(on: Console, found: Numbers) -> None:
    """Print a table with half the width of intervals; transposed if it has few, short rows."""
    if len(found.rows) <= FEW and max(map(len, found.rows), default=0) <= SHORT:
        heads = list(found.rows)
        rows = [
            (head, [values.get(name) for values in found.rows.values()])
            for name, head in found.heads.items()
        ]
    else:
        heads = list(found.heads.values())
        rows = [
            (row, [values.get(name) for name in found.heads]) for row, values in found.rows.items()
        ]
    cells = [(escape(head), *map(measured, values)) for head, values in rows]
    print_columns(on, [escape(found.vary), *map(escape, heads)], cells)
    for note in found.notes:
        on.print(note, markup=False, style="dim")


def print_columns(
    on: Console, heads: Row, rows: Sequence[Row], *, fixed: int = 1, title: str | None = None
) -> None:
    """Print a table of short cells, in blocks of columns if it is wider than the console.

    Heads break between words, cells never. A line is longer than the console only if a single
    column does not fit.

    Args:
        on: the console.
        heads: of the columns, with markup.
        rows: with markup; a row without cells is a line.
        fixed: number of first columns, left-aligned, that each block repeats.
        title: above the table.
    """
    columns = [[row[at] for row in rows if row] for at in range(len(heads))]
    before = on.width
    for shown, widths in _blocks(heads, columns, fixed, before):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
        for at, width in zip(shown, widths, strict=True):
            table.add_column(heads[at], justify="left" if at < fixed else "right", width=width)
        for row in rows:
            if row:
                table.add_row(*(row[at] for at in shown))
            else:
                table.add_section()
        on.width = max(before, _total(widths))
        on.print(table)
    on.width = before


def _blocks(
    heads: Row, columns: Sequence[Row], fixed: int, width: int
) -> Iterator[tuple[list[int], list[int]]]:
    """The columns of each block, and their widths."""
    natural = [_widest([head, *cells]) for head, cells in zip(heads, columns, strict=True)]
    if _total(natural) <= width:
        yield list(range(len(heads))), natural
        return
    # the widest cell and the longest word of the head
    least = [
        _widest([*_plain(head).split(), *cells]) for head, cells in zip(heads, columns, strict=True)
    ]
    first = list(range(fixed))
    for at in first:
        least[at] = min(natural[at], max(width // 2 // fixed, 1))
    shown = list(first)
    for at in range(fixed, len(heads)):
        if len(shown) > fixed and _total([least[each] for each in [*shown, at]]) > width:
            yield shown, _widened(shown, least, natural, width)
            shown = list(first)
        shown.append(at)
    yield shown, _widened(shown, least, natural, width)


def _widened(
    shown: Sequence[int], least: Sequence[int], natural: Sequence[int], width: int
) -> list[int]:
    """The widths of columns; what is left of the line makes heads shorter."""
    widths = [least[at] for at in shown]
    wanted = [natural[at] for at in shown]
    while _total(widths) < width and widths != wanted:
        at = max(range(len(shown)), key=lambda each: wanted[each] - widths[each])
        widths[at] += 1
    return widths


def measured(value: Number | None) -> str:
    """A value with half the width of its interval, with markup."""
    if value is None:
        return "–"
    if value.interval is None:
        return number(value.value)
    half = (value.interval[1] - value.interval[0]) / 2
    text = f"{half:.3f}" if half >= 5e-4 or half == 0 else f"{half:.1g}"
    return f"{number(value.value)} [dim]±{text}[/dim]"


def _plain(cell: str) -> str:
    return Text.from_markup(cell).plain


def _widest(cells: Row) -> int:
    return max((cell_len(_plain(each)) for each in cells), default=1)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN * (len(widths) - 1) + EDGES
