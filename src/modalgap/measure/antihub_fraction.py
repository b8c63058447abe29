"""Antihub fraction: how many items are among the neighbours of no other item?

Equation: mean_u [N_k(u) = 0], N_k(u) how often u is among the k nearest of the other items of its
modality. Source: Radovanović et al. 2010, section 3 (antihubs).
Relations: the other end of hubness: where few items are the neighbours of many, many are the
neighbours of none and search never returns them. Without hubs it is near e^−k,
``details["without_hubs"]``.
Fails when: duplicates abound: each copy takes the place of a neighbour.
"""

from __future__ import annotations

import math

import torch

from modalgap.card import Card
from modalgap.checks import needs, whole
from modalgap.measure.base import Measure, Side
from modalgap.result import Value

CARD = Card(
    name="antihub_fraction",
    group="How does each modality fill its space?",
    traits=("size",),
    roles=("modality",),
    title="Antihubs",
    question="How many items are never among the neighbours of others?",
    idea="The fraction of items that are not among the k nearest of any other item.",
    equation=r"\operatorname{mean}_u [N_k(u) = 0]",
    source="Radovanović et al. 2010, section 3",
    direction="lower",
    low=0.0,
    high=1.0,
    interval="none: the counts depend on one another",
)


def _antihub_fraction(side: Side, *, k: int = 10, max_rows: int = 30_000, seed: int = 0) -> Value:
    """``k`` neighbours among at most ``max_rows`` rows, drawn with ``seed``."""
    whole("k", k, 1)
    whole("max_rows", max_rows, 2)
    side.resolved()
    number = min(side.n, max_rows)
    needs(number > k, f"it needs more than k={k} items; found {number}")
    counts = torch.bincount(side.within(k, max_rows, seed).reshape(-1), minlength=number)
    return Value(float((counts == 0).double().mean()), details={"without_hubs": math.exp(-k)})


antihub_fraction = Measure(CARD, _antihub_fraction)
