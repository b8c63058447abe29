"""Centroid uniformity: the middles of pairs spread over the sphere.

Equation: log mean_{i≠j} exp(−t ‖c_i − c_j‖²), c_i = norm(x_i + y_i).
Source: ModGap (arXiv 2601.18525), with ``infonce`` and ``alignment``. Relations: ``uniformity``,
which spreads each modality by itself. Fails when: a pair's two features are opposite: its middle is
then arbitrary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from modalgap.losses.base import Features, Loss, LossCard, log_mean_potential, others

CARD = LossCard(
    name="centroid_uniformity",
    title="Centroid uniformity",
    idea="The middles of matched pairs spread over the sphere.",
    equation=r"\log \operatorname{mean}_{i \ne j} e^{-t \lVert c_i - c_j \rVert^2},\quad"
    r" c_i = \operatorname{norm}(x_i + y_i)",
    source="ModGap (arXiv 2601.18525)",
    take_it="Beside infonce and alignment: aligned pairs stay apart from other pairs.",
    beware="Undefined for a pair whose features are opposite.",
)


def _centroid_uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: how near counts as near."""
    middles = functional.normalize(features.image + features.text, dim=1)
    return log_mean_potential(others(middles @ middles.T), t)


centroid_uniformity = Loss(CARD, _centroid_uniformity)
