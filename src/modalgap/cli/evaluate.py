"""modalgap evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli import data
from modalgap.cli.close import parse

Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--tasks", help="Tasks, comma-separated; see: modalgap list tasks.", show_default=False
    ),
]
TaskOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of tasks, for instance retrieved=text; may be repeated.",
        show_default=False,
    ),
]


def evaluate(
    paths: data.Paths = None,
    image: data.Image = None,
    text: data.Text = None,
    pairs: data.Pairs = None,
    tasks: Tasks = None,
    options: TaskOptions = None,
    seed: data.Seed = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Evaluate embeddings at retrieval, zero-shot, mixed search, robustness and more."""
    from modalgap.embeddings import Pair
    from modalgap.errors import InputError
    from modalgap.evaluate.verb import evaluate as run

    found = data.read(paths, image, text, pairs)
    if not isinstance(found, Pair):
        raise InputError("evaluate needs two modalities; this is one")
    result = run(
        found, data.names(tasks), **data.given(seed=seed), **parse(options, "tasks", "seed")
    )
    data.remark(found, paths)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.table import print_tasks

    print_tasks(result)
