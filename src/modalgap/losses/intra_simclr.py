"""SimCLR within images: identify the other view of the same image among all views of the batch.

Equation: NT-Xent, mean over the 2n views v of −log of e^{⟨v,v'⟩/τ} / Σ_{u≠v} e^{⟨v,u⟩/τ}, v' the
other view of v's image: 2n − 2 negatives. τ is an option, independent of the temperature of the
model. Source: Chen et al. 2020 (SimCLR); with CLIP's loss: Mu et al. 2022 (SLIP). Relations: SLIP
is infonce plus this loss, both with weight 1; SLIP uses a separate projection head for the views.
Fails when: the two views are too similar, or a batch has too few images.
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
    """``temperature``: τ of this loss; it is not learnt."""
    at_least("temperature", temperature, 1e-3)
    views = torch.cat(there("intra_simclr", "views", features.views))  # (2n, d)
    logits = without_self(views @ views.T / temperature)  # (2n, 2n)
    other = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return functional.cross_entropy(logits, other)


intra_simclr = Loss(CARD, _intra_simclr)
