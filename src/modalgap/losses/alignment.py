"""Alignment: pull matched rows together.

Equation: mean_i ‖x_i − y_i‖². Source: Wang & Isola 2020, section 4.1.1 (α = 2). Relations: 2 − 2
times the mean matched cosine; equal to the measure alignment. It is the numerator of infonce
without the negatives.
Fails when: used alone, because its optimum is all rows at one point.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss

CARD = Card(
    name="alignment",
    title="Alignment",
    idea="Pulls matched images and texts together; nothing pushes rows apart.",
    equation=r"\operatorname{mean}_i \lVert x_i - y_i \rVert^2",
    source="Wang & Isola 2020, section 4.1.1",
    use_when="Together with infonce and a uniformity loss, to close the gap.",
    fails_when="Alone it collapses all rows to one point.",
)


def _alignment(features: Features) -> Tensor:
    return (features.image - features.text).square().sum(1).mean()


alignment = Loss(CARD, _alignment)
