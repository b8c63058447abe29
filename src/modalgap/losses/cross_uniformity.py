"""Cross-uniformity: images and the texts of other images spread over one sphere.

Equation: log mean_{i≠j} exp(−t ‖x_i − y_j‖²). Source: Fahim et al. 2024 (arXiv 2405.18570), with
``alignment`` and ``uniformity``. Relations: ``uniformity`` inside modalities.
Fails when: taken alone: a wide gap satisfies it.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard, log_mean_potential, others

CARD = LossCard(
    name="cross_uniformity",
    title="Cross-uniformity",
    idea="Images lie far from the texts of other images.",
    equation=r"\log \operatorname{mean}_{i \ne j} e^{-t \lVert x_i - y_j \rVert^2}",
    source="Fahim et al. 2024 (arXiv 2405.18570)",
    take_it="Beside alignment and uniformity, to fill one sphere with both modalities.",
    beware="Alone it widens the gap.",
)


def _cross_uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: how near counts as near."""
    return log_mean_potential(others(features.image @ features.text.T), t)


cross_uniformity = Loss(CARD, _cross_uniformity)
