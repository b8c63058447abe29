"""A result as a table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modalgap.measure.names import card_of, modalities, of_modalities
from modalgap.modality import dimensions, listed
from modalgap.result import Result, Value
from modalgap.result import Table as Values

FEW = 7  # rows that fit beside one another as columns
SHORT = 16  # characters of their names
WIDE = 150  # characters a line of a table with many columns


def print_result(result: Result) -> None:
    """Print the measures, the sizes of the input, and the measures left out with the reason."""
    console = begun(result)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("what", style="dim")
    for name, value in result.items():
        low_high = "" if value.interval is None else "{} … {}".format(*map(number, value.interval))
        card = of_modalities(card_of(name), modalities(result))
        table.add_row(name, number(value.value) + card.unit, low_high, escape(card.title))
    console.print(table)
    left_out(console, result)


def print_tasks(result: Result) -> None:
    """Print the numbers of each task, and the tasks that were left out with the reason."""
    from modalgap.evaluate.registry import TASKS

    console = begun(result)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("task and number", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, min_width=6)
    table.add_column("95 % interval", no_wrap=True, min_width=17)
    table.add_column("better", style="dim", no_wrap=True, min_width=6)
    before = ""
    for name, value in result.items():
        task, _, what = name.partition(".")
        if task != before:
            if before:
                table.add_section()
            table.add_row(f"[bold]{escape(TASKS[task].card.title)}[/bold]")
        low_high = "" if value.interval is None else "{} … {}".format(*map(number, value.interval))
        better = str(value.params.get("better", ""))
        table.add_row(
            f"  {escape(what)}",
            number(value.value),
            low_high,
            "" if better == "neither" else better,
        )
        before = task
    console.print(table)
    for value in result.values():
        if "fair" in value.details:
            console.print(fair_shares(value.details["fair"]), markup=False, style="dim")
    left_out(console, result)


def print_search(result: Result, asked: str) -> None:
    """Print the result of a search: sizes, the protocol, and the numbers."""
    console = Console(highlight=False, soft_wrap=False)
    about = result.pair
    (_, ours), (what, theirs) = about["modalities"].items()
    console.print(
        f"{about['n_queries']:,} queries ({ours}) and {about[f'n_{what}']:,} {what} ({theirs}),"
        f" {dimensions(about['dim'])}",
        markup=False,
    )
    console.print(asked, markup=False, style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("number", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, min_width=6)
    table.add_column("95 % interval", no_wrap=True, min_width=17)
    for name, value in result.items():
        low_high = "" if value.interval is None else "{} … {}".format(*map(number, value.interval))
        table.add_row(name, number(value.value), low_high)
    console.print(table)


def print_table(found: Values) -> None:
    """Print a table with half the width of intervals; transposed if it has few, short rows."""
    console = Console(highlight=False)
    aside = len(found.rows) <= FEW and max(map(len, found.rows), default=0) <= SHORT
    if not aside and not console.is_terminal:
        console.width = WIDE  # nobody's window is too narrow for it
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(escape(found.vary), no_wrap=True)
    if aside:
        for row in found.rows:
            table.add_column(escape(row), justify="right")
        for name, head in found.heads.items():
            cells = [cell(values.get(name)) for values in found.rows.values()]
            table.add_row(escape(head), *cells)
    else:
        for head in found.heads.values():
            table.add_column(escape(head), justify="right")
        for row, values in found.rows.items():
            table.add_row(escape(row), *(cell(values.get(name)) for name in found.heads))
    console.print(table)
    for note in found.notes:
        console.print(note, markup=False, style="dim")


def fair_shares(fair: Mapping[str, Mapping[str, float]]) -> str:
    """The shares that results have if modality plays no role, of the task "answers"."""
    rows = [
        f"{query}: {', '.join(f'{name} {share:.3f}' for name, share in row.items())}"
        for query, row in fair.items()
    ]
    return f"fair shares of results for queries of {'; '.join(rows)}"


def cell(value: Value | None) -> str:
    """A value with half the width of its interval."""
    if value is None:
        return "–"
    if value.interval is None:
        return number(value.value)
    half = (value.interval[1] - value.interval[0]) / 2
    return f"{number(value.value)} [dim]±{half:.3f}[/dim]"


def begun(result: Result) -> Console:
    """A console on which the sizes of the input have been printed."""
    console = Console(highlight=False, soft_wrap=False)
    about = result.pair
    sizes = [f"{about[f'n_{side}']:,} {side}s" for side in about["were_unit"]]
    console.print(f"{listed(sizes)}, {dimensions(about['dim'])}", markup=False)
    return console


def left_out(console: Console, result: Result) -> None:
    """Print what was not measured, with the reason."""
    groups: dict[str, list[str]] = {}
    for name, reason in result.skipped.items():
        groups.setdefault(reason, []).append(name)
    for reason, names in groups.items():
        console.print(f"not measured: {', '.join(names)}: {reason}", markup=False, style="dim")


def number(value: float) -> str:
    """A number with four significant digits, without an exponent if it is short enough."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 4 - len(str(int(abs(value)))) + (abs(value) < 1))
        return f"{value:.{min(digits, 4)}f}"
    return f"{value:.3g}"
