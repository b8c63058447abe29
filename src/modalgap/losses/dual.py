"""Negatives of both modalities: an image is told from the other images, too.

Equation: for images −1/n Σ_i log [e^{S_ii/τ} / (Σ_j e^{S_ij/τ} + Σ_{j≠i} e^{⟨x_i, x_j⟩/τ})], for
texts likewise; the mean of both. Source: Liang et al. 2022, section 4 (which negatives keep the
gap). Relations: ``infonce`` without the second sum.
Fails when: many images of a batch are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard, others

CARD = LossCard(
    name="dual",
    title="Negatives of both modalities",
    idea="Each image must find its text among all texts and all other images, and vice versa.",
    equation=r"-\log\tfrac{e^{S_{ii}/\tau}}"
    r"{\sum_j e^{S_{ij}/\tau} + \sum_{j \ne i} e^{\langle x_i, x_j\rangle/\tau}}",
    source="Liang et al. 2022, section 4",
    take_it="To see what the missing negatives of the own modality do to the gap.",
    beware="Images that look alike are pushed apart.",
)


def _dual(features: Features) -> Tensor:
    x, y, scale = features.image, features.text, features.scale
    across = scale * x @ y.T
    found = []
    for inside, between in ((x, across), (y, across.T)):
        own = others(scale * inside @ inside.T)
        found.append(torch.cat([between, own], 1).logsumexp(1) - across.diagonal())
    return (found[0] + found[1]).mean() / 2


dual = Loss(CARD, _dual)
