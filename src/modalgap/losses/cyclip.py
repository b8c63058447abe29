"""CyCLIP: make similarities equal among images and among texts, and in both directions.

Equation: a · n · mean_ij (⟨x_i,x_j⟩ − ⟨y_i,y_j⟩)² + b · n · mean_ij (⟨x_i,y_j⟩ − ⟨x_j,y_i⟩)², of
cosines, without the temperature; n · mean = (1/n) Σ_ij, as in the paper. a = b = ¼. Source: Goel
et al. 2022 (CyCLIP). Relations: add it to infonce with weight 1. The first term is zero if
one modality is a rotation of the other; the second is also zero if this rotation is symmetric.
Fails when: the aim is to close the gap. Rows (u, c) and (u, −c) are far apart, and their loss is 0.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.checks import at_least
from modalgap.losses.base import Features, Loss

CARD = Card(
    name="cyclip",
    title="CyCLIP's consistency",
    idea="Two images must be as similar as their texts, and x_i to y_j as x_j to y_i.",
    equation=r"\tfrac{a}{n} \lVert S_{xx} - S_{yy} \rVert_F^2 +"
    r" \tfrac{b}{n} \lVert S_{xy} - S_{xy}^\top \rVert_F^2",
    source="Goel et al. 2022 (CyCLIP)",
    use_when="Together with infonce, if the geometry of both modalities should agree.",
    fails_when="It grows with the batch; alone it collapses, because constant rows minimise it.",
)


def _cyclip(features: Features, *, in_modal: float = 0.25, cross_modal: float = 0.25) -> Tensor:
    """``in_modal``: weight a, of the intra-modal term; ``cross_modal``: weight b, of the other."""
    at_least("in_modal", in_modal, 0.0)
    at_least("cross_modal", cross_modal, 0.0)
    x, y = features.image, features.text
    within = (x @ x.T - y @ y.T).square().sum() / len(x)
    cross = x @ y.T  # (n, n)
    return in_modal * within + cross_modal * (cross - cross.T).square().sum() / len(x)


cyclip = Loss(CARD, _cyclip)
