"""modalgap study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data
from modalgap.cli.group import group
from modalgap.extras import TRAIN, require

app = group("study", "Make figures and tables of papers again, from nothing.")


@app.callback()
def _group() -> None:
    """Make figures and tables of papers again, from nothing."""


@app.command()
def imbalance(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of runs and results.")],
    attributes: Annotated[
        str, typer.Option("--attributes", help="Numbers of attributes in captions.")
    ] = "0,1,2,3,4,5",
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each.")] = 1,
    digits: Annotated[
        Path | None,
        typer.Option(
            "--digits",
            help="Folder of MNIST's files (default: scikit-learn's digits).",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Models trained at once (default: one for each two processors).",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value of training.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Discard runs made with other settings and start over.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Train on captions that tell more and more: gap and object bias against what they leave out.

    Source: Schrodi et al. 2025, section 5. Interrupted runs resume: run the same command again.
    """
    require("train", "a study", *TRAIN)
    from modalgap.atomic import replacing
    from modalgap.checks import value_of
    from modalgap.cli.table import print_table
    from modalgap.report.export import save_figures
    from modalgap.report.study import study_figure, study_page
    from modalgap.study import imbalance as work

    data.note(f"models go to {output}; on two cores each takes about a minute")
    counts = value_of(f"{attributes},")
    table = work(
        output,
        attributes=counts,
        seeds=seeds,
        source=digits,
        jobs=jobs,
        settings=settings or (),
        overwrite=force,
    )
    for name, text in (("table.csv", table.to_csv()), ("table.md", table.to_markdown())):
        with replacing(output / name, overwrite=True) as file:
            file.write(text.encode())
    save_figures({"imbalance": study_figure(table)}, output, ("png", "svg"), overwrite=True)
    page = study_page(table, output / "report.html", overwrite=True)
    if json:
        typer.echo(table.to_json())
        return
    print_table(table)
    data.note(f"figure {output / 'imbalance.png'}, page {page}")


@app.command()
def inversion(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of runs and results.")],
    attributes: Annotated[
        str, typer.Option("--attributes", help="Numbers of attributes in captions.")
    ] = "1,5",
    digits: Annotated[
        Path | None,
        typer.Option(
            "--digits",
            help="Folder of MNIST's files (default: scikit-learn's digits).",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Models trained at once.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value of training.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Discard runs made with other settings and start over.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Cross over to the other modality: what it buys within one, and what it costs.

    Source: Mistretta et al. 2025. Interrupted runs resume: run the same command again.
    """
    require("train", "a study", *TRAIN)
    from modalgap.atomic import replacing
    from modalgap.checks import value_of
    from modalgap.cli.table import print_table
    from modalgap.study import inversion as work

    data.note(f"models go to {output}; on two cores each takes about four minutes")
    table = work(
        output,
        attributes=value_of(f"{attributes},"),
        source=digits,
        jobs=jobs,
        settings=settings or (),
        overwrite=force,
    )
    for name, text in (("table.csv", table.to_csv()), ("table.md", table.to_markdown())):
        with replacing(output / name, overwrite=True) as file:
            file.write(text.encode())
    if json:
        typer.echo(table.to_json())
        return
    print_table(table)
