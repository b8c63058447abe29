"""Centroid uniformity: spread the midpoints of matched pairs over the sphere.

Equation: log mean_{i≠j} e^{−t‖c_i − c_j‖²}, c_i = norm((x_i + y_i)/2). Source: ModGap, arXiv
2601.18525. Relations: with infonce and alignment it is the loss of that paper. It treats a pair
as one point, so unlike uniformity it never pushes an image and its text apart.
Fails when: a pair is antipodal. It has no midpoint, and the gradient nearby is unbounded.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import spread

CARD = Card(
    name="centroid_uniformity",
    title="Uniformity of pair centroids",
    idea="Pushes the midpoints of matched pairs apart, over the whole sphere.",
    equation=r"\log \operatorname{mean}_{i\ne j} e^{-t\lVert c_i-c_j\rVert^2},\quad"
    r" c_i = \operatorname{norm}\left(\tfrac{x_i+y_i}{2}\right)",
    source="ModGap, arXiv 2601.18525",
    use_when="Together with infonce and alignment, as in the paper.",
    fails_when=(
        "Without alignment it does not reduce the gap; it needs at least two pairs per batch."
    ),
)


def _centroid_uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: sharpness of the repulsion; with higher t only nearer midpoints repel each other."""
    middle = functional.normalize((features.image + features.text) / 2, dim=1)
    return spread(middle, middle, t)


centroid_uniformity = Loss(CARD, _centroid_uniformity)
