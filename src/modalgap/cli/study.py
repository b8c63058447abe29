"""modalgap study: one command per study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import SPELT_OUT, STUDIES, methods, placed, with_options
from modalgap.cli.settings import settings

if TYPE_CHECKING:
    from modalgap.result import Table
    from modalgap.study import Study
    from modalgap.study.outcome import Outcome

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Number of models trained at the same time (default: one per processor).",
        show_default=False,
    ),
]


Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        help="Folder of trained models that several studies share (default: runs in the output).",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="Folder to write into (default: the name of the study).",
        show_default=False,
    ),
]  # fmt: skip


@placed
@data.resumable
def study(
    name: str,
    output: Output = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    jobs: Jobs = None,
    models: Models = None,
    force: options.StartOver = False,
    json: Annotated[bool, options.json("table/1")] = False,
) -> None:
    """Run a study and print its table, what differs from published results, and its files."""
    from modalgap.cli.table import print_table

    chosen: Study = STUDIES.load()[name]
    output = Path(name) if output is None else output
    own = settings(sets, [chosen], seed=seed)
    chosen.check_installed(own)
    plan = chosen.planned(own)  # refuses wrong options before anything is written
    if chosen.finished(plan, output, overwrite=force) is None:
        data.note(f"writing to {output}; takes {chosen.duration}")
    else:
        data.note(f"reusing the finished result in {output}")
    table = chosen.computed(plan, output, jobs=jobs, models=models, overwrite=force)
    if json:
        typer.echo(table.to_json())
        return
    print_table(table)
    _print_verdicts(table, output / _files(chosen)[-1])
    for file in _files(chosen):
        if (output / file).is_file():
            typer.echo(output / file)


def _print_verdicts(table: Table, page: Path) -> None:
    """Print the counts, what differs, and what is missing; the page has every verdict."""
    from rich.padding import Padding
    from rich.text import Text

    from modalgap.terminal import console
    from modalgap.verdicts import DIFFERS, missing, reason, state, summary

    on = console()

    def say(line: str, indent: int = 0) -> None:
        on.print(Padding.indent(Text(line), indent))

    for line in summary(table.verdicts):
        say(line)
    for each in table.verdicts:
        if state(each) == DIFFERS:
            note = f" ({each['note']})" if each["note"] else ""
            say(f"differs: {each['claim']} ({each['where']})")
            say(f"expected: {each['published']}; ours: {each['ours']}", 2)
            say(f"{reason(each)}{note}", 2)
    for why, count in missing(table.verdicts):
        say(f"not computed ({count}): {why}")
    if table.verdicts:
        typer.echo(f"all {len(table.verdicts)} verdicts: see {page}")  # a path stays in one line


def _files(study: Study) -> list[str]:
    """The files that a study may write, the page last."""
    from modalgap.panels import files
    from modalgap.study.keeping import CSV, CURVES, FILE, MARKDOWN, PAGE

    figures = [f"{study.name}.png", f"{study.name}.svg"]
    return [*files(study.parts), FILE, CSV, CURVES, MARKDOWN, *figures, PAGE]


app = methods(
    "study",
    "Reproduce figures and tables of papers. Interrupted studies resume.",
    STUDIES,
    study,
    several="studies",
    one="study",
    of_methods=SPELT_OUT,
)
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Studies, comma-separated; see: modalgap list studies.", show_default=False
    ),
]
Embedded = Annotated[
    bool,
    typer.Option("--embedded", help="Use the embedded data only: refuse settings that name files."),
]


@app.command("all", cls=with_options(STUDIES))
@placed
@data.resumable
def every(
    output: options.Folder,
    embedded: Embedded = False,
    only: Only = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    jobs: Jobs = None,
    force: options.StartOver = False,
    json: Annotated[bool, options.json("studies/1")] = False,
) -> None:
    """Run all studies, one after another. The same command resumes after an interruption."""
    from modalgap.study.every import outcomes
    from modalgap.study.outcome import FAILED

    studies = STUDIES.load()
    names = data.names(only)
    chosen = [studies[name] for name in names or studies if name in studies]
    own = settings(sets, chosen or studies.values(), seed=seed)
    found = outcomes(output, only=names, jobs=jobs, embedded=embedded, overwrite=force, **own)
    if json:
        data.print_json("studies/1", {"studies": [each.to_dict() for each in found]})
    else:
        _print_outcomes(found)
        for name in ("verdicts.json", "verdicts.csv", "verdicts.md", "index.html"):
            typer.echo(output / name)
    if any(each.status == FAILED for each in found):
        raise typer.Exit(1)


def _print_outcomes(found: Sequence[Outcome]) -> None:
    """One row per study, the reasons of failures, and the counts of all studies."""
    from rich.markup import escape

    from modalgap.terminal import console, print_columns
    from modalgap.verdicts import CLOSED_FORM, PAPER, REFERENCE, STATES, by_kind, counts, summary

    rows = []
    for each in found:
        kinds = by_kind(each.verdicts)
        checks = [*kinds.get(CLOSED_FORM, ()), *kinds.get(REFERENCE, ())]
        cells = [
            str(number or "")
            for own in (kinds.get(PAPER, ()), checks)
            for number in counts(own).values()
        ]
        rows.append((each.study.name, each.status, f"{each.seconds:.1f}", *cells))
    heads = [f"{kind} {state}" for kind in ("papers:", "checks:") for state in STATES]
    print_columns(console(), ["study", "status", "seconds", *heads], rows)
    for each in found:
        if each.reason:
            console().print(f"{each.study.name} {each.status}: {escape(each.reason)}")
    for line in summary(verdict for each in found for verdict in each.verdicts):
        typer.echo(line)
