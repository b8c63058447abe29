"""modalgap demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data
from modalgap.extras import TRAIN, require


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "demo"
    ),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value of training.", show_default=False),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Discard results made with other settings and start over."),
    ] = False,
) -> None:
    """Train two small models, measure both, close a gap, and tell what happened: a first look.

    What is in the folder already is not made again. Takes about two minutes.
    """
    require("train", "the demo", *TRAIN)
    from modalgap.cli.table import print_table
    from modalgap.report.export import save_figures
    from modalgap.report.story import story_figure, story_page
    from modalgap.study import story

    data.note(
        "two models of MAD's digits, one with short captions, one with full ones: two minutes ..."
    )
    told = story(output, settings=tuple(settings or ()), overwrite=force)
    page = output / "report.html"
    if told.fresh or not page.is_file() or not (output / "demo.png").is_file():
        page = story_page(told.table, told.pairs, told.sheet, page, overwrite=True)
        figures = {"demo": story_figure(told.pairs)}
        save_figures(figures, output, ("png",), overwrite=True)
    print_table(told.table)
    for name in told.pairs:
        typer.echo(f"{name:7} {output / f'{name}.safetensors'}")
    typer.echo(f"report  {page}")
