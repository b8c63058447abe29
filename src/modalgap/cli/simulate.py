"""modalgap simulate: one command per simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import options
from modalgap.cli.build import SIMULATIONS, SPELT_OUT, methods
from modalgap.cli.settings import settings

Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="File to write: embeddings (.safetensors, .npz, .parquet), or a table"
        " (.json, .csv, .md). By default the table is printed.",
        show_default=False,
    ),
]


def simulate(
    name: str,
    output: Output = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    force: options.Force = False,
    json: Annotated[bool, options.json("table/1")] = False,
) -> None:
    """Run a simulation, and print or write its result."""
    from modalgap.atomic import check_target, replacing
    from modalgap.cli.table import print_table
    from modalgap.embeddings import Pair
    from modalgap.embeddings.store import save
    from modalgap.simulate.summary import summary

    if output is not None:
        check_target(output, overwrite=force)
    method = SIMULATIONS.load()[name]
    made = method(**settings(sets, [method], seed=seed))
    table = summary(made, method) if isinstance(made, Pair) else made
    if json:
        typer.echo(table.to_json())
    elif output is None:
        print_table(table)
    if output is None:
        return
    if isinstance(made, Pair):
        save(made, output, overwrite=force)
    else:
        text = made.as_text(output.suffix)
        with replacing(output, overwrite=force) as file:
            file.write(text.encode())
    typer.echo(output, err=json)


app = methods(
    "simulate",
    "Simulate the modality gap without a model or data.",
    SIMULATIONS,
    simulate,
    several="simulations",
    one="simulation",
    of_methods=SPELT_OUT,
)
