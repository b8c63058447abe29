"""modalgap explore."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.errors import OptionError
from modalgap.extras import require

if TYPE_CHECKING:
    from modalgap.data.media import Media

DEFAULT = Path("explore.html")


@placed
@spread
def explore(
    inputs: Inputs,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="HTML file to write. Default: explore.html, if there is no --serve or --table.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Data set, folder or table with the pictures, as for modalgap encode. Pictures are"
            " matched by name.",
            show_default=False,
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            "--points",
            help="Largest number of rows of a modality that are shown; a sample of larger data."
            " Default: 2000, or 1000 above 8000 rows.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="Title of the page.", show_default=False)
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Serve the page on this machine, with any strength of a closer, until Ctrl-C.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option("--port", help="Port of --serve; 0: any free one.", min=0, max=65535)
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            help="With --serve: the model of the embeddings, for search by text.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="Write a Parquet table of all rows for tools such as Embedding Atlas.",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    split: options.Split = None,
    root: options.Root = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    force: options.Force = False,
) -> None:
    """See the gap, close it with a slider, and look at items and their neighbours, on one page."""
    if model is not None and not serve:
        raise OptionError("--model: is for search by text; give --serve too")
    if port and not serve:
        raise OptionError("--port: is for --serve; give it too")
    if serve and output is not None:
        raise OptionError("--output: cannot be combined with --serve, which writes no file")
    if source is None and data.given(split=split, root=root):
        raise OptionError("--split and --root: are for --source; give it too")
    target = output or DEFAULT
    page = not serve and (output is not None or table is None)
    for each in ([target] if page else []) + ([] if table is None else [table]):
        inputs.not_the_output(each)
    if page or serve:
        require("explore", "explore", "bokeh", "tornado")
    found = inputs.read()
    inputs.remark(found)
    media = None if source is None else _media(source, **data.given(split=split, root=root))
    shared = {"media": media, "points": points, "title": title, **data.given(seed=seed)}
    if table is not None:
        from modalgap.explore.table import write_table
        from modalgap.report.page import check_page

        if page:
            check_page(target, overwrite=force)  # before the table is written
        own = {"media": media, "overwrite": force, **data.given(seed=seed)}
        typer.echo(write_table(found, table, **own))
    if page:
        from modalgap.explore.verb import explore as run

        written = run(found, target, overwrite=force, **shared)
        typer.echo(written)
        if browser:
            webbrowser.open(written.resolve().as_uri())
    if serve:
        from modalgap.explore.server import Explorer
        from modalgap.explore.server import serve as start

        explorer = Explorer(found, model=_searcher(model, device), **shared)

        def ready(address: str) -> None:
            typer.echo(address)
            data.note("the page is served on this machine only; Ctrl-C stops it")
            if browser:
                webbrowser.open(address)

        start(explorer, port, ready=ready)


def _media(source: str, **reading: Any) -> Mapping[str, Media] | Media | None:
    """The pictures of a source."""
    from modalgap.data import read

    found = read(source, **reading)
    return found.media


def _searcher(model: str | None, device: str) -> Callable[..., Any] | None:
    """A function from a view to the function that searches it by text."""
    if model is None:
        return None
    from modalgap.encode.device import device_of
    from modalgap.encode.registry import load_model
    from modalgap.explore.asked import searcher

    encoder = load_model(model)
    encoder.to(device_of(device))
    return lambda scene: searcher(scene, encoder)
