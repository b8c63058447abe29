"""CyCLIP: similarities agree within modalities, and across them both ways.

Equation: n [λ₁ mean_ij (⟨x_i, x_j⟩ − ⟨y_i, y_j⟩)² + λ₂ mean_ij (S_ij − S_ji)²]; cosines, unscaled.
Source: Goel et al. 2022, section 3; the factor n as the authors compute it.
Relations: beside ``infonce``. Fails when: captions of alike images differ for good reason.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="cyclip",
    title="CyCLIP",
    idea="Two images are as similar as their texts, and i to j as j to i.",
    equation=r"n \left[\lambda_1 \operatorname{mean} (S^{xx} - S^{yy})^2"
    r" + \lambda_2 \operatorname{mean} (S - S^\top)^2\right]",
    source="Goel et al. 2022, section 3",
    take_it="Beside infonce, for geometry that agrees across modalities.",
    beware="It grows with the batch.",
)


def _cyclip(features: Features, *, in_modal: float = 0.25, cross_modal: float = 0.25) -> Tensor:
    """``in_modal``, ``cross_modal``: λ₁ and λ₂."""
    x, y = features.image, features.text
    across = x @ y.T
    within = (x @ x.T - y @ y.T).square().mean()
    turned = (across - across.T).square().mean()
    return len(x) * (in_modal * within + cross_modal * turned)


cyclip = Loss(CARD, _cyclip)
