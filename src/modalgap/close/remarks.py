"""Remarks on the data that a closer is fitted to: closed rows, and too few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modalgap.embeddings import Embeddings, Pair

if TYPE_CHECKING:
    from modalgap.card import Card
    from modalgap.embeddings import Modalities

FEWEST = 10  # rows below which even a mean is mostly noise


def remarks(card: Card, data: Pair | Embeddings | Modalities) -> list[str]:
    """What a user should know about fitting this closer, or a map of inversion, to the data."""
    sides = data.sides
    found = []
    before = dict.fromkeys(filter(None, (side.provenance.get("closed") for side in sides)))
    if before:
        found.append(
            f"the input is closed already, by {', '.join(before)}; {card.name} is fitted on the"
            " closed rows"
        )
    rows, what = min(side.n for side in sides), "rows"
    if card.reads == "pairs" and isinstance(data, Pair):
        rows, what = len(data.first_matches[0]), "matched rows"
    dim = max(side.dim for side in sides)
    if card.reads == "nothing":
        return found
    if rows < FEWEST:
        found.append(f"{card.name} is fitted on {rows} {what}: the map is mostly noise")
    elif card.reads in ("covariances", "pairs") and rows < dim:
        found.append(
            f"{card.name} is fitted on {rows} {what}, fewer than the {dim} columns: its covariances"
            " are poorly estimated"
        )
    return found
