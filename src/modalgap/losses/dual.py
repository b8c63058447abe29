"""Dual: negatives of both modalities; an image must beat the other images too.

Equation: for image i, −log of e^{s⟨x_i,y_i⟩} / (Σ_j e^{s⟨x_i,y_j⟩} + Σ_{j≠i} e^{s⟨x_i,x_j⟩});
the same for texts; mean over rows, then over both directions. Source: Liang et al. 2022 ("Mind
the gap"), on both-modality negatives. Relations: infonce, with the own modality's rows added to
each denominator; never below it.
Fails when: images of a batch are nearly identical: they are pushed apart even if their texts agree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import own_match, without_self

CARD = Card(
    name="dual",
    title="Negatives of both modalities",
    idea="Each row must identify its match among the other modality and all other rows of its own.",
    equation=r"-\tfrac{1}{2n} \sum_i \log\frac{e^{s\langle x_i,y_i\rangle}}"
    r"{\sum_j e^{s\langle x_i,y_j\rangle} + \sum_{j\ne i} e^{s\langle x_i,x_j\rangle}}"
    r" + (x \leftrightarrow y)",
    source="Liang et al. 2022 (Mind the gap), negatives of both modalities",
    use_when="The cones should widen without a second loss and its weight.",
    fails_when="Near-duplicates within a modality are pushed apart.",
)


def _dual(features: Features) -> Tensor:
    x, y, s = features.image, features.text, features.scale
    logits = s * x @ y.T  # (n, n)
    images = own_match(torch.cat([logits, without_self(s * x @ x.T)], 1))  # of (n, 2n)
    texts = own_match(torch.cat([logits.T, without_self(s * y @ y.T)], 1))
    return (images.mean() + texts.mean()) / 2


dual = Loss(CARD, _dual)
