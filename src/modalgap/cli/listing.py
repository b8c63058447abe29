"""modalgap list."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Listed(StrEnum):
    """What can be listed."""

    measures = "measures"


def listing(
    what: Annotated[Listed, typer.Argument(help="What to list.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List what there is, with the question that each answers."""
    import dataclasses
    import json as jsonlib

    from modalgap.measure.registry import MEASURES

    cards = [measure.card for measure in MEASURES.values()]
    if json:
        cards_by_name = {card.name: dataclasses.asdict(card) for card in cards}
        typer.echo(jsonlib.dumps({what.value: cards_by_name}, indent=2, ensure_ascii=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "answers", "better", "needs"):
        table.add_column(column, no_wrap=column == "name")
    for measure in MEASURES.values():
        card = measure.card
        name = f"{card.name}_image, _text" if measure.per_modality else card.name
        better = "" if card.direction == "neither" else card.direction
        table.add_row(name, card.question, better, ", ".join(card.needs))
    Console(highlight=False).print(table)
