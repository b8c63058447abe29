"""modalgap list."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, get_args

import typer

from modalgap.cli import data, options
from modalgap.cli.catalogue import CATALOGUE, card, methods, table

OTHERS = ("models", "data", "configs", "schemas")
Listed = StrEnum("Listed", [(name, name) for name in (*CATALOGUE, *OTHERS)])  # type: ignore[misc]

Row = tuple[str, ...]


def listing(
    what: Annotated[Listed, typer.Argument(help="Kind of entries to list.")],
    json: Annotated[bool, options.json("list/1")] = False,
) -> None:
    """List all entries of one kind, such as measures, closers, models or data sets."""
    others = {"models": _models, "data": _data, "configs": _configs, "schemas": _schemas}
    head, rows, cards = others[what.value]() if what.value in others else _methods(what.value)
    if json:
        data.print_json("list/1", {what.value: cards})
        return
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from modalgap.terminal import console

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in head:
        shown.add_column(column, no_wrap=column == head[0])
    for row in rows:
        shown.add_row(*map(escape, row))
    console().print(shown)


Listing = tuple[Row, Iterable[Row], dict[str, Any]]


def _methods(kind: str) -> Listing:
    head, rows = table(kind)
    return head, rows, {name: card(method) for name, method in methods(kind).items()}


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


def _configs() -> Listing:
    from modalgap.train.config import ready

    rows, cards = [], {}
    for name, path in ready().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
        rows.append((name, about))
        cards[name] = {"about": about, "text": "\n".join(lines)}
    return ("name", "what it trains"), rows, cards


def _schemas() -> Listing:
    import json
    from importlib.resources import files

    texts = [each.read_text("utf-8") for each in (files("modalgap") / "schemas").iterdir()]
    cards = {
        each["title"]: each for each in sorted(map(json.loads, texts), key=itemgetter("title"))
    }
    rows = [(name, each["description"]) for name, each in cards.items()]
    return ("schema", "what it describes"), rows, cards


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
