"""SigLIP: every pair of the batch is a yes or a no of its own.

Equation: −1/n Σ_ij log σ(z_ij (S_ij/τ + b)), z_ij = 1 where i = j and −1 elsewhere.
Source: Zhai et al. 2023, section 3.2. Relations: ``infonce``, which normalises over the batch.
Fails when: the bias starts at 0: the many negatives swamp the first steps (the paper starts at
−10, and 1/τ at 10).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="siglip",
    title="SigLIP",
    idea="Each image-text pair of the batch is judged by itself: a match, or none.",
    equation=r"-\tfrac1n \sum_{ij} \log \sigma(z_{ij} (S_{ij}/\tau + b))",
    source="Zhai et al. 2023, section 3.2",
    needs=("bias",),
    take_it="Models with a bias, such as SigLIP's; small batches.",
    beware="Without a strongly negative bias at the start it learns nothing for long.",
)


def _siglip(features: Features) -> Tensor:
    assert features.bias is not None  # noqa: S101 - on the card
    logits = features.scale * features.image @ features.text.T + features.bias
    signs = 2 * torch.eye(len(logits), dtype=logits.dtype, device=logits.device) - 1
    return -functional.logsigmoid(signs * logits).sum() / len(logits)


siglip = Loss(CARD, _siglip)
