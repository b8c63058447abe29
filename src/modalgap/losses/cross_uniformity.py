"""Cross uniformity: push images and texts that do not match apart.

Equation: log mean_{i≠j} e^{−t‖x_i − y_j‖²}. Source: Fahim et al., arXiv 2405.18570, the term XU of
their loss; here the sum over j is a mean, which changes the value but not the gradient.
Relations: with uniformity and alignment it is their loss CUAXU.
Fails when: used alone. It is minimised by moving the modalities apart, so it widens the gap.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import spread

CARD = Card(
    name="cross_uniformity",
    title="Cross-modal uniformity",
    idea="Pushes images and texts that do not match apart, over the whole sphere.",
    equation=r"\log \operatorname{mean}_{i\ne j} e^{-t\lVert x_i-y_j\rVert^2}",
    source="Fahim et al. 2024, arXiv 2405.18570, term XU",
    use_when="Together with infonce, uniformity and alignment, as in the paper.",
    fails_when="Alone it widens the gap; it needs at least two pairs per batch.",
)


def _cross_uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: sharpness of the repulsion; with higher t only nearer rows repel each other."""
    return spread(features.image, features.text, t)


cross_uniformity = Loss(CARD, _cross_uniformity)
