"""PMRL: do the rows of one item, in two or more modalities, lie on one line?

Equation: σ₁(U), the leading singular value of the k unit rows of an item. It is between 1
(orthogonal rows) and √k (one line); for two rows it is √(1 + |cos|).
Source: PMRL (principled multimodal representation learning), arXiv 2511.12034.
Relations: σ₁² is the leading eigenvalue of the Gram matrix whose determinant gram_volume takes.
Fails when: modalities differ in number: values of two and of three modalities have other ranges.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.embeddings import Modalities
from modalgap.linalg import eigenvalues
from modalgap.measure.base import Measure
from modalgap.measure.items import mean_over_items
from modalgap.result import Value

CARD = Card(
    name="pmrl",
    group="How large is the gap?",
    reads="pairs",
    title="Leading singular value (PMRL)",
    question="Do the rows of one item lie on one line?",
    idea=(
        "The leading singular value of the k unit rows of an item, averaged over items; 1 means"
        " orthogonal, √k one line."
    ),
    equation=r"\operatorname{mean}_i \sigma_1(U_i)",
    source="PMRL, arXiv 2511.12034",
    direction="higher",
    low=1.0,
    needs=("pairs",),
    interval="jackknife over items",
    traits=("sampled", "together"),
)


def _pmrl(data: Modalities, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """At most ``max_rows`` items, drawn with ``seed``."""
    return mean_over_items(data, CARD, _leading, max_rows, seed)


def _leading(gram: Tensor) -> Tensor:
    return eigenvalues(gram)[:, -1].clamp_min(1).sqrt()


pmrl = Measure(CARD, _pmrl)
