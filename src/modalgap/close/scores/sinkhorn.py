"""Sinkhorn: add a bias to each item so that the bank retrieves all items equally often.

Equation: s(q, x) + τ v(x), with exp(s/τ + u + v) doubly stochastic on the bank: its rows sum to
1/b, its columns to 1/m. Source: DBSN (arXiv 2508.02538, section 3), after Cuturi 2013. The paper
also uses a bank of gallery items. It gives u(q), which does not change the ranking of a query.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.close.scores.base import CorrectionRule
from modalgap.errors import OptionError, quoted

CARD = Card(
    name="sinkhorn",
    title="Sinkhorn",
    idea="Adds a bias to each item such that the bank retrieves all items equally often.",
    equation=r"s(q, x) + \tau v(x)",
    source="DBSN, arXiv 2508.02538, section 3",
    needs=("bank",),
)


def _learn(
    gallery: Tensor, bank: Tensor, *, temperature: float = 0.02, steps: int = 20
) -> dict[str, Tensor]:
    """``temperature``: τ; ``steps``: number of row and column normalisations."""
    checks.at_least("temperature", temperature, 1e-3)
    checks.whole("steps", steps, 1)
    if not math.isfinite(temperature):
        raise OptionError(f"temperature must be finite; got {quoted(temperature)}")
    scores = (bank @ gallery.T).double() / temperature
    v = torch.zeros(len(gallery), dtype=torch.float64)
    for _ in range(steps):
        u = -torch.logsumexp(scores + v, 1) - math.log(len(bank))
        v = -torch.logsumexp(scores + u[:, None], 0) - math.log(len(gallery))
    return {"bias": (temperature * v).float()}


def _apply(scores: Tensor, learnt: Mapping[str, Tensor], _used: Mapping[str, Any]) -> Tensor:
    return scores + learnt["bias"]


sinkhorn = CorrectionRule(CARD, _learn, _apply)
