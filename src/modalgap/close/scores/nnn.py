"""NNN: subtract from each item's score its mean similarity to its nearest queries of the bank.

Equation: s(q, x) − α · mean of the k largest s(b, x) over b ∈ B. Source: Chowdhury et al. 2024
(arXiv 2410.24114, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.close.scores.base import CorrectionRule, mean_of_nearest

CARD = Card(
    name="nnn",
    title="NNN",
    idea="The score minus a fraction of the item's mean score to its nearest queries in the bank.",
    equation=r"s(q, x) - \alpha \operatorname{mean}_{b \in \text{top-}k} s(b, x)",
    source="NNN, arXiv 2410.24114, section 3",
    needs=("bank",),
)


def _learn(
    gallery: Tensor, bank: Tensor, *, k: int = 128, alpha: float = 0.75
) -> dict[str, Tensor]:
    """``k``: number of nearest queries in the bank; ``alpha``: weight of their mean score."""
    checks.whole("k", k, 1)
    checks.at_least("alpha", alpha, 0.0)
    return {"bias": alpha * mean_of_nearest(gallery, bank, k)}


def _apply(scores: Tensor, learnt: Mapping[str, Tensor], _used: Mapping[str, Any]) -> Tensor:
    return scores - learnt["bias"]


nnn = CorrectionRule(CARD, _learn, _apply)
