"""modalgap convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data


def convert(
    source: Annotated[Path, typer.Argument(help="What to read: anything that measure reads.")],
    target: Annotated[Path, typer.Argument(help="What to write: .safetensors, .npz or .parquet.")],
    force: data.Force = False,
) -> None:
    """Rewrite embeddings in another format; values, matches and names stay as they are."""
    from modalgap.embeddings.store import load_any, save

    data.not_an_input(target, source)
    typer.echo(save(load_any([source]), target, overwrite=force))
