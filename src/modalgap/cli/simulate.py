"""modalgap simulate: one command per simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import options
from modalgap.cli.build import SIMULATIONS, methods
from modalgap.cli.settings import settings

Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="File to write: embeddings (.safetensors, .npz, .parquet), or a table"
        " (.json, .csv, .md).",
    ),
]


def simulate(
    name: str,
    output: Output,
    sets: options.Settings = None,
    seed: options.Seed = None,
    force: options.Force = False,
) -> None:
    """Run a simulation and write its result."""
    from modalgap.atomic import check_target, replacing
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import save

    check_target(output, overwrite=force)
    method = SIMULATIONS.load()[name]
    made = method(**settings(sets, [method], seed=seed))
    if isinstance(made, Pair):
        typer.echo(save(made, output, overwrite=force))
        return
    text = made.as_text(output.suffix)
    with replacing(output, overwrite=force) as file:
        file.write(text.encode())
    typer.echo(output)


app = methods(
    "simulate",
    "Simulate the modality gap without a model or data.",
    SIMULATIONS,
    simulate,
)
