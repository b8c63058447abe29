"""modalgap preflight and modalgap compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.cli.settings import settings
from modalgap.errors import quoted

if TYPE_CHECKING:
    from modalgap.advise import Advice, Comparison


@placed
@spread
def preflight(
    inputs: Inputs,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Tasks, comma-separated: retrieval, zeroshot, mixed, quantised (default: all that"
            " apply).",
            show_default=False,
        ),
    ] = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            "--thresholds",
            help='JSON file of thresholds of health checks: {"hubness": {"warn": 3, "fail": 10}};'
            " null is never.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            help="Exit with code 1 if a health check has this status or a worse one: warn, fail.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, options.json("advice/1")] = False,
) -> None:
    """Recommend for each task whether to close the gap, and with which closer.

    A closer is a method that reduces the modality gap by changing the embeddings. The command tests
    three closers on held-out images and writes no file.
    """
    from modalgap.advise import preflight as run
    from modalgap.advise.health import LEVELS
    from modalgap.checks import one_of
    from modalgap.evaluate.registry import TASKS

    if fail_on is not None:
        one_of("--fail-on", fail_on, LEVELS)
    limits = None if thresholds is None else _thresholds(thresholds)
    found = inputs.read_pair("preflight")
    own = settings(sets, TASKS.values(), seed=seed)
    advice = run(found, data.names(only), thresholds=limits, **own)
    inputs.remark(found)
    if json:
        typer.echo(advice.to_json())
    else:
        _say(advice)
    if fail_on is not None and advice.status in LEVELS[LEVELS.index(fail_on) :]:
        raise typer.Exit(1)


@placed
@spread
def compare(
    inputs: Inputs,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Closers, corrections and tasks, comma-separated; a closer may have options, as in"
            " shift:alpha=0.5 (default: all that apply); see: modalgap list closers, list tasks.",
            show_default=False,
        ),
    ] = None,
    sets: options.Settings = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Page (.html) or JSON (.json) to write.", show_default=False
        ),
    ] = None,
    fit_fraction: Annotated[
        float,
        typer.Option(
            "--fit-fraction",
            metavar="FRACTION",
            help="Fraction of the images used to fit closers; the others are used to evaluate.",
        ),
    ] = 0.5,
    seed: options.Seed = None,
    json: Annotated[bool, options.json("comparison/1")] = False,
    force: options.Restart = False,
) -> None:
    """Fit closers on one part of the images and compare them on the rest. Resumes with -o.

    A closer is a method that reduces the modality gap by changing the embeddings.
    """
    from modalgap.advise import compare as run
    from modalgap.atomic import check_target, replacing
    from modalgap.errors import OutputError
    from modalgap.evaluate.registry import TASKS
    from modalgap.work import path_of, remove

    if output is not None:
        if output.suffix.lower() not in (".html", ".json"):
            raise OutputError(
                f"{output}: must end in .html or .json; found {quoted(output.suffix)}"
            )
        check_target(output, overwrite=force)
        inputs.not_the_output(output)
    found = inputs.read_pair("compare")
    result = run(
        found,
        data.names(only),
        fit_fraction=fit_fraction,
        work=None if output is None else path_of(output),
        overwrite=force,
        keep=True,
        **settings(sets, TASKS.values(), seed=seed),
    )
    inputs.remark(found)
    data.repeats(result.pair)
    if output is not None and output.suffix.lower() == ".html":
        from modalgap.report.comparison import comparison_page

        comparison_page(result, output, overwrite=force)
    elif output is not None:
        with replacing(output, overwrite=force) as file:
            file.write(result.to_json().encode())
    if output is not None:
        remove(path_of(output))
    if json:
        typer.echo(result.to_json())
        return
    _tables(result)
    if output is not None:
        typer.echo(output)


def _thresholds(path: Path) -> dict[str, dict[str, float | None]]:
    """Thresholds of a file, checked before embeddings are read."""
    from modalgap.advise.health import resolve
    from modalgap.errors import FileError
    from modalgap.result import parsed

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path}: must be JSON; it is not UTF-8 text") from None
    return resolve(parsed(text, str(path)), str(path))


def _say(advice: Advice) -> None:
    from rich.markup import escape

    from modalgap.advise.advice import headline
    from modalgap.terminal import console

    on = console()
    for sentence in advice.diagnosis:
        on.print(escape(sentence))
    for verdict in advice.verdicts.values():
        on.print(f"\n[bold]{verdict.task}: {headline(verdict)}[/bold]")
        for sentence in verdict.why:
            on.print(f"  {escape(sentence)}")
    for name, reason in advice.skipped.items():
        on.print(f"\n{name}: not tried: {escape(reason)}", style="dim")
    on.print(f"\n[bold]checks: {advice.status}[/bold]")
    for check in advice.checks:
        on.print(escape(str(check)), style="dim" if check.status == "ok" else None)


def _tables(result: Comparison) -> None:
    """Print one table per task; arrows show significant differences to no closing."""
    from rich.markup import escape

    from modalgap.advise.comparison import label, mark
    from modalgap.evaluate.registry import TASKS
    from modalgap.terminal import console, print_columns

    on = console()
    fitted, judged, others = result.sizes
    on.print(
        f"fitted on {fitted}, evaluated on {judged} and {others}; ↑ significantly better, ↓"
        " significantly worse than none"
    )
    tasks = dict.fromkeys(column.partition(".")[0] for column in result.columns)
    for task in tasks:
        columns = [name for name in result.columns if name.partition(".")[0] == task]
        rows = []
        for name, entry in result.entries.items():
            cells = []
            for column in columns:
                value = entry.values.get(column)
                sign = mark(entry.verdict(column))
                cells.append("– " if value is None else f"{value.value:.3f}{sign}")
            if any(not cell.startswith("–") for cell in cells):
                rows.append((escape(name) + (" *" if entry.transductive else ""), *cells))
        heads = ["closer", *map(label, columns)]
        print_columns(on, heads, rows, title=TASKS[task].card.title)
    if any(entry.transductive for entry in result.entries.values()):
        on.print(
            "* uses the evaluated rows, has no map: its numbers are not comparable",
            style="dim",
        )
    for name, reason in result.failed.items():
        on.print(f"not tried: {escape(name)}: {escape(reason)}", style="dim")
