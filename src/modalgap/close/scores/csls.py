"""CSLS: subtract from each score the mean similarity of query and item to their neighbours.

Equation: 2 s(q, x) − r(q) − r(x), r(q) the mean score of q to its k nearest in the gallery, r(x)
that of x to its k nearest in the bank. Source: Conneau et al. 2018, section 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.close.scores.base import CorrectionRule, mean_of_nearest

CARD = Card(
    name="csls",
    title="CSLS",
    idea=(
        "Twice the score minus the mean scores of the query and of the item to their k nearest"
        " neighbours."
    ),
    equation=r"2 s(q, x) - r_k(q) - r_k(x)",
    source="Conneau et al. 2018, section 2.3",
    needs=("bank",),
)


def _learn(gallery: Tensor, bank: Tensor, *, k: int = 10) -> dict[str, Tensor]:
    """``k``: number of nearest neighbours."""
    checks.whole("k", k, 1)
    return {"r": mean_of_nearest(gallery, bank, k)}


def _apply(scores: Tensor, learnt: Mapping[str, Tensor], used: Mapping[str, Any]) -> Tensor:
    own = scores.topk(min(used["k"], scores.shape[1]), dim=1).values.mean(1, keepdim=True)
    return 2 * scores - own - learnt["r"]


csls = CorrectionRule(CARD, _learn, _apply)
