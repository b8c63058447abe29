"""modalgap demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "demo"
    ),
    seed: data.Seed = None,
    force: data.Force = False,
) -> None:
    """Simulate a gap, measure it and write its report: a first look, in seconds."""
    from modalgap.cli.table import print_result
    from modalgap.embeddings.store import save
    from modalgap.measure.verb import measure
    from modalgap.report.page import report
    from modalgap.simulate import free_points

    output.mkdir(parents=True, exist_ok=True)
    data.note("InfoNCE over 500 free pairs of points that start in two cones ...")
    pair = free_points(**data.given(seed=seed))
    made = pair.image.provenance
    typer.echo(f"loss {made['loss']}; distance between means {made['gap']}")
    embeddings = save(pair, output / "free_points.safetensors", overwrite=force)
    result = measure(pair, **data.given(seed=seed))
    print_result(result)
    page = report(
        pair,
        output / "report.html",
        result=result,
        title="A simulated modality gap",
        figures=output / "figures",
        formats=("png",),
        overwrite=force,
        **data.given(seed=seed),
    )
    typer.echo(f"embeddings  {embeddings}\nfigures     {output / 'figures'}\nreport      {page}")
