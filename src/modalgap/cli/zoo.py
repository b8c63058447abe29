"""modalgap zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed
from modalgap.errors import OptionError

Many = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        help="LIBRARY:MODEL, such as open_clip:ViT-B-32/openai; or a pattern such as"
        " 'open_clip:ViT-B-*/*', for models of open_clip's registry. May be repeated.",
        show_default=False,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--data",
        help="A path or the name of a data set, see: modalgap list data; may be repeated.",
        show_default=False,
    ),
]
Cells = Annotated[
    Path | None,
    typer.Option(
        "--cells",
        help="Instead of -m and -d: a CSV file with one line per cell, with the columns model and"
        " data, and optionally name, split, root, limit, template, label_column. A model may be a"
        " pattern.",
        show_default=False,
    ),
]
Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measures",
        help="Measures, comma-separated (default: all that apply); see: modalgap list measures.",
        show_default=False,
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--tasks",
        help="Tasks, comma-separated (default: retrieval, zero_shot); see: modalgap list tasks.",
        show_default=False,
    ),
]
Closers = Annotated[
    list[str] | None,
    typer.Option(
        "--closers",
        help="Closers, comma-separated; all numbers are also computed after each of them; see:"
        " modalgap list closers.",
        show_default=False,
    ),
]
Facts = Annotated[
    Path | None,
    typer.Option(
        "--facts",
        help="CSV file with facts about models, such as training_data; it must have a column model"
        " or model_fullname.",
        show_default=False,
    ),
]
Disk = Annotated[
    float | None,
    typer.Option(
        "--disk",
        help="Gigabytes that all features together may use: the oldest are removed, results stay.",
        show_default=False,
    ),
]


@placed
@data.resumable
def zoo(
    output: options.Folder,
    model: Many = None,
    sets: Sets = None,
    cells: Cells = None,
    split: options.Split = None,
    root: options.Root = None,
    limit: options.Limit = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="Sentence with {} for the class name, or imagenet, for CLIP's 80 sentences.",
            show_default=False,
        ),
    ] = None,
    measures: Measures = None,
    tasks: Tasks = None,
    closers: Closers = None,
    facts: Facts = None,
    disk: Disk = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    seed: options.Seed = None,
    as_json: Annotated[bool, options.json("zoo/1")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compute finished cells again, with new features.")
    ] = False,
) -> None:
    """Encode, measure and evaluate many models on many data sets.

    The same command resumes after an interruption; cells that failed run again. The exit code is 1
    if a cell failed.
    """
    from modalgap.cli.table import print_table
    from modalgap.zoo.cells import cells as crossed
    from modalgap.zoo.cells import read_cells
    from modalgap.zoo.results import FAILED, MODELS, RESULTS
    from modalgap.zoo.verb import run_cells

    reading = {
        "split": split,
        "root": None if root is None else str(root),
        "limit": limit,
        "template": template,
    }
    if cells is not None:
        given = {"model": model, "data": sets, **reading}
        for name, value in given.items():
            if value:
                raise OptionError(f"--{name}: is a column of the file that --cells names")
        found = read_cells(cells)
    else:
        for name, value in {"model": model, "data": sets}.items():
            if not value:
                raise OptionError(f"--{name}: must be given at least once, or --cells")
        found = crossed(model or [], sets or [], **reading)
    result = run_cells(
        found,
        output,
        measures=data.names(measures),
        facts=facts,
        disk=disk,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        overwrite=force,
        **data.given(tasks=data.names(tasks), closers=data.names(closers), seed=seed),
    )
    if as_json:
        typer.echo(result.to_json())
    else:
        print_table(result.table())
        for name in (RESULTS, MODELS, *([FAILED] if result.failed else [])):
            typer.echo(output / name)
    if result.failed:
        raise typer.Exit(1)
