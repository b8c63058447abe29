"""modalgap list."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, get_args

import typer


class Listed(StrEnum):
    """What can be listed."""

    measures = "measures"
    closers = "closers"
    tasks = "tasks"
    models = "models"
    data = "data"
    losses = "losses"
    configs = "configs"
    inversions = "inversions"


Row = tuple[str, ...]


def listing(
    what: Annotated[Listed, typer.Argument(help="What to list.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List what there is: measures, closers, tasks, models, data sets, losses and more."""
    import json as jsonlib

    head, rows, cards = {
        Listed.measures: _measures,
        Listed.closers: _closers,
        Listed.tasks: _tasks,
        Listed.models: _models,
        Listed.data: _data,
        Listed.losses: _losses,
        Listed.configs: _configs,
        Listed.inversions: _inversions,
    }[what]()
    if json:
        typer.echo(jsonlib.dumps({what.value: cards}, indent=2, ensure_ascii=False))
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in head:
        table.add_column(column, no_wrap=column == head[0])
    for row in rows:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)


Listing = tuple[Row, Iterable[Row], dict[str, Any]]


def _measures() -> Listing:
    import dataclasses

    from modalgap.measure.registry import MEASURES

    rows = []
    for measure in MEASURES.values():
        card = measure.card
        name = f"{card.name}_image, _text" if measure.per_modality else card.name
        better = "" if card.direction == "neither" else card.direction
        rows.append((name, card.question, better, ", ".join(card.needs)))
    cards = {each.card.name: dataclasses.asdict(each.card) for each in MEASURES.values()}
    return ("name", "answers", "better", "needs"), rows, cards


def _closers() -> Listing:
    import dataclasses

    from modalgap.close import CLOSERS, CORRECTIONS

    rows = []
    for closer in CLOSERS.values():
        card = closer.card
        moves = f"{card.moves} (no map)" if card.transductive else card.moves
        rows.append((card.name, card.idea, moves, card.needs))
    rows += [
        (rule.card.name, rule.card.idea, "scores", "a bank of queries")
        for rule in CORRECTIONS.values()
    ]
    cards: dict[str, Any] = {
        each.name: dataclasses.asdict(each.card) | {"options": dict(each.options)}
        for each in CLOSERS.values()
    }
    cards |= {name: dataclasses.asdict(rule.card) for name, rule in CORRECTIONS.items()}
    return ("name", "what it does", "moves", "needs"), rows, cards


def _tasks() -> Listing:
    import dataclasses

    from modalgap.evaluate.registry import TASKS

    rows = [(task.name, task.card.question, task.card.needs) for task in TASKS.values()]
    cards = {
        task.name: dataclasses.asdict(task.card)
        | {
            "options": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in task.options.items()
            }
        }
        for task in TASKS.values()
    }
    return ("name", "answers", "needs"), rows, cards


def _models() -> Listing:
    import dataclasses

    from modalgap.encode.registry import ENCODERS

    rows = [
        (f"{name}:{form}", library.models if i == 0 else "")
        for name, library in ENCODERS.items()
        for i, form in enumerate(library.forms)
    ]
    cards = {name: dataclasses.asdict(library) for name, library in ENCODERS.items()}
    return ("--model", "which models"), rows, cards


def _losses() -> Listing:
    import dataclasses

    from modalgap.losses import LOSSES

    rows = [(loss.name, loss.card.idea, ", ".join(loss.card.needs)) for loss in LOSSES.values()]
    cards = {
        loss.name: dataclasses.asdict(loss.card) | {"options": dict(loss.options)}
        for loss in LOSSES.values()
    }
    return ("name", "what it does", "needs"), rows, cards


def _configs() -> Listing:
    from modalgap.train.config import ready

    rows, cards = [], {}
    for name, path in ready().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
        rows.append((name, about))
        cards[name] = {"about": about, "text": "\n".join(lines)}
    return ("name", "what it trains"), rows, cards


def _data() -> Listing:
    import dataclasses

    from modalgap.data import DATASETS
    from modalgap.data.dataset import Task, default_root

    root = default_root()
    rows, cards = [], {}
    order = get_args(Task)
    for dataset in sorted(DATASETS.values(), key=lambda each: order.index(each.card.task)):
        card = dataset.card
        there = dataset.folder(root).is_dir()
        here = [split for split in card.splits if there and not dataset.missing(root, split)]
        rows.append((card.name, card.task, card.title, ", ".join(here)))
        cards[card.name] = dataclasses.asdict(card) | {"here": here}
    return ("name", "task", "data set", f"here, in {root}"), rows, cards


def _inversions() -> Listing:
    import dataclasses

    from modalgap.invert import METHODS

    takes = {"media": "images", "text": "texts", "either": "either"}
    cards = [method.card for method in METHODS.values()]
    rows = [(card.name, takes[card.takes], card.take_it, card.needs) for card in cards]
    return (
        ("name", "takes", "take it for", "needs"),
        rows,
        {card.name: dataclasses.asdict(card) for card in cards},
    )
