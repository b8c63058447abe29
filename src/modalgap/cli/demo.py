"""modalgap demo: the study ``demo``, with a short name and a default folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import options
from modalgap.cli.study import Jobs, study

PAGE = "explore.html"  # the interactive page of the study


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for models and results.")
    ] = Path("demo"),
    sets: options.Settings = None,
    jobs: Jobs = None,
    force: options.StartOver = False,
    json: Annotated[bool, options.json("table/1")] = False,
) -> None:
    """Train two small models, measure both, and close the gap of one (the study demo).

    Takes about two minutes. explore.html is an interactive page of the first model. A finished
    demo in the folder is reused. For the options of --set, see:
    modalgap study demo --help.
    """
    study("demo", output, sets, jobs=jobs, force=force, json=json)
    if not json and (output / PAGE).is_file():
        typer.echo(output / PAGE)
