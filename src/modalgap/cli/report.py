"""modalgap report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.cli.settings import settings
from modalgap.errors import OptionError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Pair


@placed
@spread
def report(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path(
        "report.html"
    ),
    only: options.Measures = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures", help="Also write each figure to this folder.", show_default=False
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option("--format", help="Formats of the figures: png, svg, pdf, comma-separated."),
    ] = "png",
    title: Annotated[
        str | None, typer.Option("--title", help="Title of the page.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            help="Encode INPUT with this model first, and write the embeddings next to the page.",
            show_default=False,
        ),
    ] = None,
    split: options.Split = None,
    root: options.Root = None,
    limit: options.Limit = None,
    template: options.Template = None,
    device: options.Device = "auto",
    force: options.Force = False,
) -> None:
    """Measure the gap and write an HTML page: summary, figures, all measures, provenance."""
    inputs.not_the_output(output)
    reading = {"split": split, "root": root, "limit": limit, "template": template}
    given = data.given(**reading)
    if model is None and given:
        raise OptionError(f"--{next(iter(given))}: is for encoding; give --model too")
    from modalgap.measure.registry import MEASURES
    from modalgap.report.verb import report as run

    own = settings(sets, MEASURES.values(), seed=seed)
    if model is None:
        found = inputs.read()
    else:
        found = _encoded(inputs, model, output, device, force, seed, **reading)
        inputs = Inputs()
    written = run(
        found,
        output,
        title=title,
        figures=figures,
        formats=tuple(name.strip() for name in formats.split(",")),
        overwrite=force,
        **data.given(only=data.names(only)),
        **own,
    )
    inputs.remark(found)
    typer.echo(written)


def _encoded(
    inputs: Inputs,
    model: str,
    output: Path,
    device: str,
    force: bool,
    seed: int | None,
    **reading: Any,
) -> Pair | Embeddings:
    """The embeddings of a source, which are also written next to the page."""
    from modalgap.cli.encode import run as encode
    from modalgap.report.page import check_page

    paths = inputs.paths
    if paths is None or len(paths) != 1 or inputs != Inputs(paths=paths):
        raise OptionError("--model: needs one SOURCE, as modalgap encode does")
    check_page(output, overwrite=force)
    return encode(
        str(paths[0]),
        model,
        output.with_suffix(".safetensors"),
        device=device,
        seed=seed,
        force=force,
        **reading,
    ).data
