"""Intra-modal separation: images of different meaning are negatives of one another.

Equation: cross-entropy of rows M_i·/τ with target i, M_ii = ⟨x_i, y_i⟩ and
M_ij = ⟨x_i, x_j⟩ (1 − ⟨y_i, y_j⟩) elsewhere; the weight has no gradient.
Source: AlignCLIP (Eslami & de Melo 2024, arXiv 2406.17639), section 4.2. The authors weigh by the
similarity of a sentence encoder; here it is the text tower's own. Their shared tower is a matter of
the architecture. Relations: ``dual``, unweighted.
Fails when: texts are in a narrow cone: all are then alike, and the weight vanishes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="intra_separation",
    title="Separation within images",
    idea="Images are pushed apart, the more the less their texts are alike.",
    equation=r"-\log\tfrac{e^{\langle x_i, y_i\rangle/\tau}}{e^{\langle x_i, y_i\rangle/\tau} +"
    r" \sum_{j \ne i} e^{\langle x_i, x_j\rangle (1 - \langle y_i, y_j\rangle)/\tau}}",
    source="AlignCLIP (arXiv 2406.17639), section 4.2",
    take_it="Beside infonce, so that images fill the space that texts leave.",
    beware="Early on, texts in one cone make every weight small.",
)


def _intra_separation(features: Features) -> Tensor:
    x, y = features.image, features.text
    apart = x @ x.T * (1 - (y @ y.T).detach())
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    logits = torch.where(own, (x * y).sum(1, keepdim=True), apart) * features.scale
    return functional.cross_entropy(logits, torch.arange(len(x), device=x.device))


intra_separation = Loss(CARD, _intra_separation)
