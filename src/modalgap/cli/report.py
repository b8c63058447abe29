"""modalgap report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data


def report(
    paths: data.Paths = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="Also write each figure here.", show_default=False),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Of the figures: png, svg, pdf, comma-separated.")
    ] = "png",
    title: Annotated[str | None, typer.Option("--title", show_default=False)] = None,
    temperature: data.Temperature = None,
    k: data.Neighbours = None,
    cap: data.Cap = None,
    seed: data.Seed = None,
    force: data.Force = False,
) -> None:
    """Write one self-contained HTML page: summary, pictures, table, provenance."""
    from modalgap.report.page import report as run

    data.not_an_input(output, *(paths or ()), image, text, pairs)
    found = data.read(paths, image, text, pairs)
    written = run(
        found,
        output,
        title=title,
        figures=figures,
        formats=tuple(name.strip() for name in formats.split(",")),
        overwrite=force,
        **data.given(temperature=temperature, k=k, cap=cap, seed=seed),
    )
    data.remark(found, paths)
    typer.echo(written)
