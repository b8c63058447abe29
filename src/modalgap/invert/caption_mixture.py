"""Caption mixture: the nearest captions of a bank, weighted by their cosines.

Equation: x ↦ Σ_j softmax_j(x·y_j / τ) y_j over the k nearest y_j of the bank. Relations: with k = 1
it is the nearest caption itself. Fails when the bank has no suitable caption.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.errors import OptionError
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.maps import Mapped, other_side
from modalgap.invert.method import Inversion

CARD = Card(
    name="caption_mixture",
    title="Mixture of the nearest captions",
    idea=(
        "A mean of the nearest items of the other modality in a bank, weighted by a softmax of"
        " cosines."
    ),
    equation=r"x \mapsto \sum_{j \in k\text{NN}(x)} \mathrm{softmax}_j(x^\top y_j / \tau)\, y_j",
    source="a baseline",
    roles=("image", "text"),
    needs=("bank",),
    use_when="The bank contains captions similar to the right ones.",
    fails_when="It cannot express content that the bank lacks.",
)


def _caption_mixture(
    context: InversionContext, *, k: int = 16, temperature: float = 0.01
) -> Inverter:
    """Average the nearest items of a bank.

    Args:
        context: provides the bank.
        k: number of neighbours.
        temperature: τ of the softmax.
    """
    checks.whole("k", k, 1)
    checks.at_least("temperature", temperature, 1e-6)
    bank = other_side(context).unit()
    if k > len(bank):
        raise OptionError(f"k must be at most the {len(bank)} items of the bank; got {k}")

    def mixture(rows: Tensor) -> Tensor:
        near, index = (rows @ bank.T).topk(k, dim=1)
        weights = torch.softmax(near / temperature, dim=1)
        return (weights[..., None] * bank[index]).sum(1)

    return Mapped({"k": k, "temperature": temperature}, mixture)


caption_mixture = Inversion(CARD, _caption_mixture)
