"""modalgap data."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli.encode import Root, Split

app = typer.Typer(name="data", help="Named data sets: what is there, what is missing.")


@app.callback()
def _group() -> None:
    """Named data sets: what is there, what is missing."""


def _say(line: str) -> None:
    """One line, whatever names it holds."""
    typer.echo("".join(c if c.isprintable() else "�" for c in line))


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A data set; see: modalgap list data.")],
    root: Root = None,
    split: Split = None,
) -> None:
    """Say exactly what a data set needs and what of it is missing; exit code 1 if anything is."""
    from modalgap.data import DATASETS
    from modalgap.data.dataset import absent, default_root
    from modalgap.errors import OptionError

    if name not in DATASETS:
        raise OptionError.unknown("data set", name, DATASETS)
    dataset = DATASETS[name]
    card = dataset.card
    where = root or default_root()
    folder = dataset.folder(where)
    asked = [dataset.split(split)] if split else list(card.splits)
    _say(f"{card.title}: {card.about}")
    _say(card.size)
    _say(f"from {card.home}; licence: {card.licence}")
    _say(f"looked in {folder}, for:")
    for line in card.layout:
        _say(f"  {line}")
    whole = True
    for each in asked:
        lost = dataset.missing(where, each)
        if not lost:
            source = dataset.source(where, each)
            count, first = absent(source)
            lost = [*first, *([f"and {count - len(first)} more"] if count > len(first) else [])]
        whole = whole and not lost
        _say(f"{each}: complete" if not lost else f"{each}: missing")
        for path in lost:
            _say(f"  {path}")
    if not whole:
        raise typer.Exit(1)
