"""Alignment: matched pairs lie close.

Equation: mean_i ‖x_i − y_i‖². Source: Wang & Isola 2020, section 4.1.1; against the gap: Fahim et
al. 2024 (arXiv 2405.18570), ModGap (arXiv 2601.18525). Relations: 2 − 2 · mean cosine of pairs.
Fails when: taken alone: everything collapses to one point.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard

CARD = LossCard(
    name="alignment",
    title="Alignment",
    idea="An image and its text lie close.",
    equation=r"\operatorname{mean}_i \lVert x_i - y_i \rVert^2",
    source="Wang & Isola 2020, section 4.1.1",
    take_it="Beside a loss with negatives, to draw the modalities together.",
    beware="Alone it collapses everything to one point.",
)


def _alignment(features: Features) -> Tensor:
    return (features.image - features.text).square().sum(1).mean()


alignment = Loss(CARD, _alignment)
