"""modalgap data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.group import group

app = group("data", "Check whether a data set is complete, or create one: MAD, emoji.")

Output = Annotated[
    Path, typer.Option("-o", "--output", help="Folder to write into.", show_default=False)
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Number of processes (default: one per processor).", show_default=False
    ),
]


@app.callback()
def _group() -> None:
    """Check whether a data set is complete, or create one: MAD, emoji."""


def _say(line: str) -> None:
    """Print one line, even if a name has control characters."""
    typer.echo("".join(c if c.isprintable() else "�" for c in line))


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Name of a data set; see: modalgap list data.")],
    root: options.Root = None,
    split: options.Split = None,
) -> None:
    """List the files that a data set needs and those that are missing.

    The exit code is 1 if a file is missing.
    """
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


@app.command()
@data.resumable
def mad(
    output: Output,
    digits: options.Digits = None,
    workers: Workers = None,
    seed: options.Seed = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="Use a random sample of N digits.", show_default=False),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet", help="Also write a .png with all images of one digit.", show_default=False
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Create MAD: digits in 24 shapes and 7 colours; captions name any number of attributes."""
    from modalgap.atomic import replacing
    from modalgap.data import mad as made_of

    _check_sheet(sheet, force=force)
    chosen = data.given(seed=seed)
    found = made_of.digits(digits, limit=limit, **chosen)
    made = made_of.build(found, output, workers=workers, overwrite=force, **chosen)
    variants, colours = made.images.shape[1], len(made_of.FACTORS["colour"])
    _say(f"digits   {len(made):,} of {made.name}")
    _say(f"train    {len(made.train):,}")
    _say(f"test     {len(made.test):,}")
    _say(f"images   {variants * colours} per digit: {variants} shapes in {colours} colours")
    _say(f"folder   {output}")
    if sheet is not None:
        with replacing(sheet, overwrite=force) as file:
            made_of.contact_sheet(made, 0).save(file, "PNG")
        _say(f"sheet    {sheet}")


@app.command()
@data.resumable
def emoji(
    packages: Annotated[
        Path,
        typer.Argument(
            metavar="PACKAGES",
            help="Folder in which npm installed @iconify-json/noto and other packages; see:"
            " modalgap data check emoji.",
        ),
    ],
    output: Output,
    size: Annotated[
        int | None, typer.Option("--size", help="Pixels per side (default: 64).")
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(
            "--styles",
            help="Styles, comma-separated (default: all whose packages are there).",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(
            "--held-out", help="Fraction of the emoji to hold out in all styles (default: 0.2)."
        ),
    ] = None,
    held_out_style: Annotated[
        str | None,
        typer.Option(
            "--held-out-style",
            help="Style to hold out, or none (default: fluent-emoji-flat, if there are other"
            " styles).",
            show_default=False,
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages",
            help="Also write captions in these languages, comma-separated, such as de,zh.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
    seed: options.Seed = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Also write a .png with some images.", show_default=False),
    ] = None,
    force: options.Force = False,
) -> None:
    """Create the emoji data set: images of emoji in several styles, with captions and factors.

    Interrupted runs resume: run the same command again.
    """
    from modalgap.atomic import replacing
    from modalgap.data import emoji as made_of

    _check_sheet(sheet, force=force)
    chosen = data.given(
        size=size,
        styles=data.names([styles]) if styles is not None else None,
        held_out=held_out,
        held_out_style=held_out_style,
        languages=data.names([languages]) if languages is not None else None,
        workers=workers,
        seed=seed,
    )
    made = made_of.build(packages, output, overwrite=force, **chosen)
    for line in made_of.report(made):
        _say(line)
    if sheet is not None:
        with replacing(sheet, overwrite=force) as file:
            made_of.contact_sheet(made).save(file, "PNG")
        _say(f"sheet    {sheet}")
    absent = [each for each in made_of.USUAL if each not in made.settings["styles"]]
    if absent and styles is None:
        data.note(f"{packages}: has no {', '.join(absent)}: {made_of.npm(absent)}")


def _check_sheet(sheet: Path | None, *, force: bool) -> None:
    from modalgap.atomic import check_target
    from modalgap.errors import OutputError

    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise OutputError(f"{sheet}: must end in .png")
        check_target(sheet, overwrite=force)
