"""modalgap report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.atomic import check_target
from modalgap.cli import data
from modalgap.cli.encode import Device, Limit, Root, Split, Template
from modalgap.cli.encode import run as encode
from modalgap.errors import OptionError


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
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Encode PATH first, with this model; the embeddings stay beside the page.",
            show_default=False,
        ),
    ] = None,
    split: Split = None,
    root: Root = None,
    limit: Limit = None,
    template: Template = None,
    device: Device = "auto",
    force: data.Force = False,
) -> None:
    """Write one self-contained HTML page: summary, pictures, table, provenance."""
    from modalgap.report.verb import report as run

    data.not_an_input(output, *(paths or ()), image, text, pairs)
    if model is None:
        given = data.given(split=split, root=root, limit=limit, template=template)
        if given:
            raise OptionError(f"--{next(iter(given))}: is for encoding; give --model too")
        found = data.read(paths, image, text, pairs)
    else:
        if paths is None or len(paths) != 1 or image or text or pairs:
            raise OptionError("--model: needs one SOURCE, as modalgap encode does")
        check_target(output, overwrite=force)
        found = encode(
            str(paths[0]),
            model,
            output.with_suffix(".safetensors"),
            split=split,
            root=root,
            limit=limit,
            template=template,
            device=device,
            seed=seed,
            force=force,
        ).data
        paths = None
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
