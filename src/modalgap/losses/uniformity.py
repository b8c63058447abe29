"""Uniformity: items of one modality spread over the sphere.

Equation: mean over modalities of log mean_{i≠j} exp(−t ‖u_i − u_j‖²).
Source: Wang & Isola 2020, section 4.1.2; beside CLIP's loss: Liang et al. 2022, section 4.
Relations: ``cross_uniformity`` between modalities, ``centroid_uniformity`` of the pairs' middles.
Fails when: taken alone: nothing then holds pairs together.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard, log_mean_potential, others

CARD = LossCard(
    name="uniformity",
    title="Uniformity",
    idea="Images spread over the sphere, and so do texts.",
    equation=r"\tfrac12 \sum_{u \in \{x, y\}} \log \operatorname{mean}_{i \ne j}"
    r" e^{-t \lVert u_i - u_j \rVert^2}",
    source="Wang & Isola 2020, section 4.1.2",
    take_it="Against cones: beside a loss that matches pairs.",
    beware="Equal captions in a batch cannot spread.",
)


def _uniformity(features: Features, *, t: float = 2.0) -> Tensor:
    """``t``: how near counts as near."""
    both = [
        log_mean_potential(others(rows @ rows.T), t) for rows in (features.image, features.text)
    ]
    return (both[0] + both[1]) / 2


uniformity = Loss(CARD, _uniformity)
