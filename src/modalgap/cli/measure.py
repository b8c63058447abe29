"""modalgap measure."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.cli.settings import settings


@placed
@spread
def measure(
    inputs: Inputs,
    only: options.Measures = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    json: Annotated[bool, options.json("result/1")] = False,
) -> None:
    """Compute measures of the modality gap with 95 % intervals and explanations."""
    found = inputs.read()
    from modalgap.measure.registry import MEASURES
    from modalgap.measure.verb import measure as run

    given = settings(sets, MEASURES.values(), seed=seed)
    result = run(found, only=data.names(only), **given)
    inputs.remark(found)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.matrix import print_matrices
    from modalgap.cli.table import print_result
    from modalgap.embeddings import Modalities

    (print_matrices if isinstance(found, Modalities) else print_result)(result)
    typer.echo("modalgap explain NAME describes a measure")
