"""Uniformity: spread the rows of each modality over the sphere.

Equation: ½ [log mean_{i≠j} e^{−t‖x_i − x_j‖²} + the same for texts]. Source: Wang & Isola 2020,
section 4.1.2; added to CLIP's loss by Liang et al. 2022. Relations: cross_uniformity uses pairs
of image and text, centroid_uniformity midpoints of pairs. The value is at least −2t n/(n − 1).
Fails when: used alone, because it ignores matches.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import spread

CARD = Card(
    name="uniformity",
    title="Uniformity",
    idea="Pushes the rows of each modality apart, over the whole sphere.",
    equation=r"\tfrac12 \log \operatorname{mean}_{i\ne j} e^{-t\lVert x_i-x_j\rVert^2}"
    r" + (x \leftrightarrow y)",
    source="Wang & Isola 2020, section 4.1.2; Liang et al. 2022 with CLIP",
    use_when="Together with infonce, to widen the cones and reduce the gap.",
    fails_when="Alone it separates matched pairs too; it needs at least two pairs per batch.",
)


def _uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: sharpness of the repulsion; with higher t only nearer rows repel each other."""
    image, text = features.image, features.text
    return (spread(image, image, t) + spread(text, text, t)) / 2


uniformity = Loss(CARD, _uniformity)
