"""QB-Norm: normalise scores over the bank, for queries whose best item is a hub.

Equation: exp(β s(q, x)) / Σ_{b ∈ B} exp(β s(b, x)) for queries whose best item is the best of some
query of the bank, s(q, x) for the others (dynamic inverted softmax). Source: Bogolin et al. 2022
(arXiv 2112.12777, section 3.3). Scores of different queries are not comparable.
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
from modalgap.linalg import blocks

CARD = Card(
    name="qbnorm",
    title="QB-Norm",
    idea=(
        "Divides the scores of items that are hubs for the bank by the sum of their scores over"
        " the bank."
    ),
    equation=r"e^{\beta s(q, x)} / \textstyle\sum_{b \in B} e^{\beta s(b, x)}",
    source="QB-Norm, arXiv 2112.12777, section 3.3",
    needs=("bank",),
)


def _learn(gallery: Tensor, bank: Tensor, *, beta: float = 20.0) -> dict[str, Tensor]:
    """``beta``: inverse temperature."""
    checks.at_least("beta", beta, 0.0)
    if not math.isfinite(beta) or beta == 0:
        raise OptionError(f"beta must be above 0; got {quoted(beta)}")
    total = torch.full((len(gallery),), -torch.inf, dtype=torch.float64)
    hub = torch.zeros(len(gallery), dtype=torch.bool)
    for a, b in blocks(len(bank), len(gallery)):
        scores = bank[a:b] @ gallery.T
        total = torch.logaddexp(total, torch.logsumexp(beta * scores.double(), 0))
        hub[scores.argmax(1)] = True
    return {"total": (total / beta).float(), "hub": hub}


def _apply(scores: Tensor, learnt: Mapping[str, Tensor], _used: Mapping[str, Any]) -> Tensor:
    best_is_hub = learnt["hub"][scores.argmax(1)]
    # the logarithm of the softmax has the same order and does not overflow
    normalised = scores - learnt["total"]
    return torch.where(best_is_hub[:, None], normalised, scores)


qbnorm = CorrectionRule(CARD, _learn, _apply)
