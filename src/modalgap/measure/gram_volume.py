"""GRAM volume: how far apart are the rows of one item, in two or more modalities?

Equation: √det G, G the Gram matrix of the unit rows of an item, one per modality. For two rows this
is √(1 − cos²), the sine of their angle; for three with cosines a, b, c it is
√(1 + 2abc − a² − b² − c²).
Source: GRAM, arXiv 2412.11959: the volume of the parallelotope that the rows span.
Relations: matched_cosine for two modalities, without its sign: opposite rows also have volume 0.
    pmrl reads the same Gram matrix.
Fails when: three rows lie in one plane. The volume is then 0 whatever their cosines are, so a small
    volume does not mean small gaps; the study modalities shows a trained example. With more
    modalities than dimensions it is 0 for any rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.embeddings import Modalities
from modalgap.measure.base import Measure
from modalgap.measure.items import mean_over_items
from modalgap.result import Value

CARD = Card(
    name="gram_volume",
    group="How large is the gap?",
    reads="pairs",
    title="GRAM volume",
    question="How far apart are the rows of one item?",
    idea="The mean volume that the unit rows of an item span; 0 if the rows are dependent.",
    equation=r"\operatorname{mean}_i \sqrt{\det(U_i U_i^\top)}",
    source="GRAM, arXiv 2412.11959",
    direction="lower",
    low=0.0,
    high=1.0,
    needs=("pairs",),
    interval="jackknife over items",
    traits=("sampled", "together"),
)


def _gram_volume(data: Modalities, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """At most ``max_rows`` items, drawn with ``seed``."""
    return mean_over_items(data, CARD, _volume, max_rows, seed)


def _volume(gram: Tensor) -> Tensor:
    found: Tensor = torch.linalg.det(gram)
    return found.clamp_min(0).sqrt()


gram_volume = Measure(CARD, _gram_volume)
