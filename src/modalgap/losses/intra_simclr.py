"""SimCLR within images: of all views in the batch, find the other view of the same image.

Equation: NT-Xent, mean over the 2n views v of −log of e^{⟨v,v'⟩/τ} / Σ_{u≠v} e^{⟨v,u⟩/τ}, v' the
other view of v's image: 2n − 2 negatives. τ is an option and not the model's. Source: Chen et al.
2020 (SimCLR); beside CLIP's loss Mu et al. 2022 (SLIP). Relations: SLIP
is infonce plus this, both with weight 1; there the views have a head of their own.
Fails when: views are too alike to tell anything, or too few images are in a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.card import Card
from modalgap.checks import at_least
from modalgap.losses.base import Features, Loss, there
from modalgap.losses.pairwise import without_self

CARD = Card(
    name="intra_simclr",
    title="SimCLR within images",
    idea=(
        "Each augmented view of an image must identify the other view among all views of the batch."
    ),
    equation=r"-\tfrac{1}{2n} \sum_v \log\frac{e^{\langle v,v'\rangle/\tau}}"
    r"{\sum_{u\ne v} e^{\langle v,u\rangle/\tau}}",
    source="Mu et al. 2022 (SLIP); Chen et al. 2020 (SimCLR)",
    needs=("views",),
    use_when=(
        "There are few images or poor captions, and the image tower should also learn from images."
    ),
    fails_when=(
        "It needs three passes of the image tower per step instead of one, and ignores texts."
    ),
)


def _intra_simclr(features: Features, *, temperature: float = 0.1) -> Tensor:
    """``temperature``: τ of this loss, fixed."""
    at_least("temperature", temperature, 1e-3)
    views = torch.cat(there("intra_simclr", "views", features.views))  # (2n, d)
    logits = without_self(views @ views.T / temperature)  # (2n, 2n)
    other = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return functional.cross_entropy(logits, other)


intra_simclr = Loss(CARD, _intra_simclr)
