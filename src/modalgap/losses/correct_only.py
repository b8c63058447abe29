"""InfoNCE over those rows alone whose match wins already ("remove hard").

Equation: the cross-entropy of image i counts if S_ii > S_ij for all j ≠ i; of text i likewise.
Source: Liang et al. 2022, section 4 (mismatched pairs are what keeps the gap at low temperature).
Relations: ``infonce``. Fails when: nothing is right yet; it is then 0 and teaches nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="correct_only",
    title="Only correct rows",
    idea="InfoNCE without the items whose match is not the nearest already.",
    equation=r"\operatorname{mean}_{i : i = \arg\max_j S_{ij}} -\log\tfrac{e^{S_{ii}/\tau}}"
    r"{\sum_j e^{S_{ij}/\tau}}",
    source="Liang et al. 2022, section 4",
    take_it="To go on from a trained model and see the gap close once hard pairs are gone.",
    beware="From a random start it has nothing to learn from.",
)


def _correct_only(features: Features) -> Tensor:
    logits = features.scale * features.image @ features.text.T
    target = torch.arange(len(logits), device=logits.device)
    total = logits.sum() * 0  # what is left when no row is right: no loss, and a gradient of 0
    for each in (logits, logits.T):
        right = each.argmax(1) == target
        weight = right.to(each.dtype) / right.sum().clamp(min=1)
        total = total + (functional.cross_entropy(each, target, reduction="none") * weight).sum()
    return total / 2


correct_only = Loss(CARD, _correct_only)
