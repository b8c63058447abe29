"""modalgap convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed
from modalgap.errors import InputError


@placed
def convert(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Embeddings to read, as for measure; or one file per modality.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="File to write: .safetensors, .npz or .parquet; or, without extension, a folder"
            " for shards of 249,856 items."
        ),
    ],
    join: Annotated[
        bool,
        typer.Option(
            "--join-repeats",
            help="Store repeated items (same name and vector) only once, with all their matches.",
        ),
    ] = False,
    by_names: Annotated[
        bool,
        typer.Option(
            "--by-names",
            help="Rows of the same name belong to one item, instead of row i to item i.",
        ),
    ] = False,
    force: options.Force = False,
) -> None:
    """Write embeddings in another format; values, matches and names do not change."""
    from modalgap.embeddings import Modalities, Pair, joined
    from modalgap.embeddings.saving import save
    from modalgap.embeddings.store import load_all

    data.not_an_input(target, *source)
    found = load_all(source, items="names" if by_names else None)
    if join:
        if not isinstance(found, Pair):
            count = "these are more" if isinstance(found, Modalities) else "this is one"
            raise InputError(f"--join-repeats needs two modalities; {count}")
        done = joined(found)
        said = [
            f"{done.before[modality]:,} {modality}s joined to {len(rows):,}"
            for modality, rows in done.rows.items()
        ]
        data.note("; ".join(said) or "no item repeats (same name, same vector)")
        if done.dropped:
            data.note(f"factors that differ within one text left out: {', '.join(done.dropped)}")
        found = done.pair
    typer.echo(save(found, target, overwrite=force))
    if isinstance(found, Modalities):
        data.remark(found, None)
