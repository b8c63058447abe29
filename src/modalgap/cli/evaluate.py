"""modalgap evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import placed, spread
from modalgap.cli.inputs import Inputs
from modalgap.cli.settings import settings
from modalgap.errors import InputError


@placed
@spread
def evaluate(
    inputs: Inputs,
    only: options.Tasks = None,
    sets: options.Settings = None,
    seed: options.Seed = None,
    json: Annotated[bool, options.json("result/1")] = False,
) -> None:
    """Evaluate embeddings on retrieval, zero-shot, mixed search, robustness and more."""
    found = inputs.read()
    from modalgap.embeddings import Embeddings
    from modalgap.evaluate.registry import TASKS
    from modalgap.evaluate.verb import evaluate as run

    if isinstance(found, Embeddings):
        raise InputError("evaluate needs two modalities; this is one")
    result = run(found, data.names(only), **settings(sets, TASKS.values(), seed=seed))
    inputs.remark(found)
    data.repeats(result.pair)
    if json:
        typer.echo(result.to_json())
        return
    from modalgap.cli.table import print_tasks

    print_tasks(result)
