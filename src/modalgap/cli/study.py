"""modalgap study: one command per study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import STUDIES, methods, with_options
from modalgap.cli.settings import settings

if TYPE_CHECKING:
    from modalgap.result import Table
    from modalgap.study import Study

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Number of models trained at the same time (default: one per two processors).",
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


@data.resumable
def study(
    name: str,
    output: Output = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    jobs: Jobs = None,
    models: Models = None,
    force: options.StartOver = False,
    json: options.Json = False,
) -> None:
    """Run a study and print its table, its verdicts and its files."""
    from modalgap.cli.table import print_table

    chosen: Study = STUDIES.load()[name]
    output = Path(name) if output is None else output
    own = settings(sets, [chosen], seed=seed)
    chosen.check_installed(own)
    plan = chosen.planned(own)  # refuses wrong options before anything is written
    data.note(f"writing to {output}; takes about {chosen.minutes:g} minutes on two cores")
    table = chosen.computed(plan, output, jobs=jobs, models=models, overwrite=force)
    if json:
        typer.echo(table.to_json())
        return
    print_table(table)
    _print_verdicts(table)
    for file in _files(chosen):
        if (output / file).is_file():
            typer.echo(output / file)


def _print_verdicts(table: Table) -> None:
    for each in table.verdicts:
        typer.echo(f"{each['claim']} ({each['where']})")
        published = f"published: {each['published']}; " if each["published"] else ""
        note = f" ({each['note']})" if each["note"] else ""
        typer.echo(f"  {published}ours: {each['ours']}; {each['verdict']}{note}")


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
@data.resumable
def every(
    output: options.Folder,
    embedded: Embedded = False,
    only: Only = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    jobs: Jobs = None,
    force: options.StartOver = False,
    json: options.Json = False,
) -> None:
    """Run all studies, one after another. The same command resumes after an interruption."""
    from modalgap.study.every import outcomes

    studies = STUDIES.load()
    names = data.names(only)
    chosen = [studies[name] for name in names or studies if name in studies]
    own = settings(sets, chosen or studies.values(), seed=seed)
    found = outcomes(output, only=names, jobs=jobs, embedded=embedded, overwrite=force, **own)
    if json:
        found_json = {"studies": [each.to_dict() for each in found]}
        typer.echo(dumps(found_json, indent=2, ensure_ascii=False))
    else:
        _print_outcomes([each.to_dict() for each in found])
        for name in ("verdicts.json", "verdicts.csv", "verdicts.md", "index.html"):
            typer.echo(output / name)
    if any(each.table is None for each in found):
        raise typer.Exit(1)


def _print_outcomes(found: Sequence[Mapping[str, Any]]) -> None:
    """One line per study."""
    width = max(len(each["study"]) for each in found)
    for each in found:
        counts = (
            f"{each['agrees']} agree, {each['differs']} differ, {each['not_computed']} not computed"
        )
        state = "ok" if each["status"] == "ok" else f"failed: {each['reason']}"
        typer.echo(f"{each['study']:<{width}}  {each['seconds']:7.1f} s  {counts:<38}  {state}")
