"""modalgap simulate: one command per simulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data
from modalgap.cli.registered import Set, parse, registered

if TYPE_CHECKING:
    from modalgap.method import Method


def _make(method: Method) -> Callable[..., None]:
    def simulate(
        output: Annotated[
            Path,
            typer.Option(
                "-o",
                "--output",
                help="File to write: embeddings (.safetensors, .npz, .parquet), or a table"
                " (.json, .csv, .md).",
            ),
        ],
        settings: Set = None,
        force: data.Force = False,
    ) -> None:
        from modalgap.atomic import check_target, replacing
        from modalgap.embeddings import Pair
        from modalgap.embeddings.store import save

        check_target(output, overwrite=force)
        made = method(**parse(settings, method))  # type: ignore[operator]
        if isinstance(made, Pair):
            typer.echo(save(made, output, overwrite=force))
            return
        text = made.as_text(output.suffix)
        with replacing(output, overwrite=force) as file:
            file.write(text.encode())
        typer.echo(output)

    return simulate


app = registered(
    "simulate",
    "simulations",
    "Run the theory of the modality gap, without a model or data.",
    _make,
)
