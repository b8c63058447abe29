"""modalgap measure."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli import data


def measure(
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    only: data.Only = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
    temperature: data.Temperature = None,
    k: data.Neighbours = None,
    cap: data.Cap = None,
    seed: data.Seed = None,
) -> None:
    """Measure the modality gap: numbers with 95 % intervals, and what they mean."""
    found = data.read(paths, image, text, pairs)
    from modalgap.measure.verb import measure as run

    options = data.given(temperature=temperature, k=k, cap=cap, seed=seed)
    result = run(found, only=data.names(only), **options)
    data.remark(found, paths)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.table import print_result

    print_result(result)
