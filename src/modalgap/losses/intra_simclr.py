"""SimCLR between two views of each image, as SLIP adds it to CLIP's loss.

Equation: −1/2n Σ_a log [e^{⟨v_a, v_a'⟩/τ'} / Σ_{b≠a} e^{⟨v_a, v_b⟩/τ'}] over all 2n views, a' the
other view of the same image. Source: Mu et al. 2022, section 3 (SLIP); Chen et al. 2020, section
2.1 (SimCLR). Here the views' features are those of CLIP's own head, where SLIP has a second one.
Relations: ``dual``, whose own-modality negatives have no views.
Fails when: views keep too little of the image to tell it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="intra_simclr",
    title="SimCLR on images",
    idea="Two views of one image must find one another among all views.",
    equation=r"-\tfrac{1}{2n}\sum_a \log\tfrac{e^{\langle v_a, v_{a'}\rangle/\tau'}}"
    r"{\sum_{b \ne a} e^{\langle v_a, v_b\rangle/\tau'}}",
    source="Mu et al. 2022, section 3; Chen et al. 2020, section 2.1",
    needs=("views",),
    take_it="Beside infonce, for image-image similarity (SLIP).",
    beware="Two more images a pair go through the image tower.",
)


def _intra_simclr(features: Features, *, temperature: float = 0.1) -> Tensor:
    """``temperature``: of this softmax alone."""
    assert features.views is not None  # noqa: S101 - on the card
    rows = torch.cat(features.views)
    n = len(rows) // 2
    logits = rows @ rows.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=rows.device)
    logits = logits.masked_fill(itself, -torch.inf)
    other = torch.arange(2 * n, device=rows.device).roll(n)
    return functional.cross_entropy(logits, other)


intra_simclr = Loss(CARD, _intra_simclr)
