"""modalgap study: one command per study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data
from modalgap.cli.registered import Set, parse, registered

if TYPE_CHECKING:
    from modalgap.method import Method
    from modalgap.result import Table
    from modalgap.study import Study

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Models trained at the same time (default: one per two processors).",
        show_default=False,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Discard results made with other settings and start over."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def run_study(
    study: Study,
    output: Path,
    settings: list[str] | None,
    jobs: int | None,
    force: bool,
    json: bool,
) -> None:
    """Run a study and print its table, its verdicts and its files."""
    from modalgap.cli.table import print_table

    options = parse(settings, study)
    data.note(f"results go to {output}; about {study.minutes:g} minutes on two cores")
    table = study(output, jobs=jobs, overwrite=force, **options)
    if json:
        typer.echo(table.to_json())
        return
    print_table(table)
    _print_verdicts(table)
    for name in _files(study):
        typer.echo(output / name)


def _print_verdicts(table: Table) -> None:
    for each in table.verdicts:
        typer.echo(f"{each['claim']} ({each['where']})")
        published = f"published: {each['published']}; " if each["published"] else ""
        note = f" ({each['note']})" if each["note"] else ""
        typer.echo(f"  {published}ours: {each['ours']}; {each['verdict']}{note}")


def _files(study: Study) -> list[str]:
    """The files of a study, the page last."""
    from modalgap.panels import files
    from modalgap.study.keeping import CSV, FILE, MARKDOWN, PAGE

    drawn = any(panel.in_figure for part in study.parts for panel in part.panels)
    figures = [f"{study.name}.png", f"{study.name}.svg"] if drawn else []
    return [*files(study.parts), FILE, CSV, MARKDOWN, *figures, PAGE]


def _make(method: Method) -> Callable[..., None]:
    study: Any = method

    def command(
        output: Annotated[
            Path, typer.Option("-o", "--output", help="Folder for models and results.")
        ],
        settings: Set = None,
        jobs: Jobs = None,
        force: Force = False,
        json: Json = False,
    ) -> None:
        run_study(study, output, settings, jobs, force, json)

    return command


app = registered(
    "study",
    "studies",
    "Compute figures and tables of papers again. Interrupted studies resume.",
    _make,
)
