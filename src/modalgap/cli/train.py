"""modalgap train."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from modalgap.cli import data, options

if TYPE_CHECKING:
    from modalgap.train import Run


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, or the name of a built-in configuration; see: modalgap list"
            " configs.",
        ),
    ],
    output: options.Folder,
    sets: options.TrainSettings = None,
    force: options.StartOver = False,
) -> None:
    """Train a contrastive model. Interrupted runs resume: run the same command again."""
    from modalgap.train import train as work
    from modalgap.train.checkpoint import steps_done

    try:
        run = work(config, output, settings=sets or (), overwrite=force)
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            step = steps_done(output / "checkpoints")
            data.note(f"interrupted: the same command resumes after step {step}")
        raise
    if run.rank == 0:
        say(run)


def say(run: Run) -> None:
    """What a run gave: the last measurements, and where the model is."""
    for remark in run.remarks:
        data.note(remark)
    start, end = run.first, run.last
    if end:
        width = max(map(len, end))
        typer.echo(f"{'held-out':<{width}}  {'start':>8}  {'end':>8}")
        for name, value in end.items():
            before = f"{start[name]:8.4f}" if name in start else " " * 8
            typer.echo(f"{name:<{width}}  {before}  {value:8.4f}")
    typer.echo(f"log    {run.folder / 'log.jsonl'}\nmodel  {run.spec}")
