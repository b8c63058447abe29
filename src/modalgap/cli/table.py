"""A result as a table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modalgap.measure.names import card_of, modalities, titled
from modalgap.modality import dimensions, listed
from modalgap.result import Result
from modalgap.result import Table as Values
from modalgap.tabular import by_reason, number
from modalgap.terminal import console, print_numbers


def print_result(result: Result) -> None:
    """Print the measures, the sizes of the input, and the measures left out with the reason."""
    on = begun(result)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("what", style="dim")
    for name, value in result.items():
        low_high = "" if value.interval is None else "{} … {}".format(*map(number, value.interval))
        title = titled(name, modalities(result))
        table.add_row(name, number(value.value) + card_of(name).unit, low_high, escape(title))
    on.print(table)
    left_out(on, result)


def print_tasks(result: Result) -> None:
    """Print the numbers of each task, and the tasks that were left out with the reason."""
    from modalgap.evaluate.registry import TASKS

    on = begun(result)
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
    on.print(table)
    for value in result.values():
        if "fair" in value.details:
            on.print(fair_shares(value.details["fair"]), markup=False, style="dim")
    left_out(on, result)


def print_search(result: Result, asked: str) -> None:
    """Print the result of a search: sizes, the protocol, and the numbers."""
    on = console()
    about = result.pair
    (_, ours), (what, theirs) = about["modalities"].items()
    on.print(
        f"{about['n_queries']:,} queries ({ours}) and {about[f'n_{what}']:,} {what} ({theirs}),"
        f" {dimensions(about['dim'])}",
        markup=False,
    )
    on.print(asked, markup=False, style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("number", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, min_width=6)
    table.add_column("95 % interval", no_wrap=True, min_width=17)
    for name, value in result.items():
        low_high = "" if value.interval is None else "{} … {}".format(*map(number, value.interval))
        table.add_row(name, number(value.value), low_high)
    on.print(table)


def print_table(found: Values) -> None:
    """Print a table with half the width of intervals."""
    print_numbers(console(), found)


def fair_shares(fair: Mapping[str, Mapping[str, float]]) -> str:
    """The shares that results have if modality plays no role, of the task "answers"."""
    rows = [
        f"{query}: {', '.join(f'{name} {share:.3f}' for name, share in row.items())}"
        for query, row in fair.items()
    ]
    return f"fair shares of results for queries of {'; '.join(rows)}"


def begun(result: Result) -> Console:
    """A console on which the sizes of the input have been printed."""
    on = console()
    about = result.pair
    sizes = [f"{about[f'n_{side}']:,} {side}s" for side in about["were_unit"]]
    on.print(f"{listed(sizes)}, {dimensions(about['dim'])}", markup=False)
    return on


def left_out(on: Console, result: Result) -> None:
    """Print what was not measured, with the reason."""
    for reason, names in by_reason(result.skipped).items():
        on.print(f"not measured: {', '.join(names)}: {reason}", markup=False, style="dim")
