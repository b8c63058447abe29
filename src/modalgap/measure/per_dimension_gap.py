"""The gap per dimension. In many models two or three dimensions contain most of it.

Equation: μ_x,k − μ_y,k, sorted by size. Source: Schrodi et al. 2025, section 4 and figure 4.
Relations: its squares sum to l2m²; ``gap_concentration`` is the fraction in the top dimensions.
Fails when: embeddings were rotated (PCA, OPQ). The coordinates are then not those of the model.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.checks import whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import means
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="per_dimension_gap",
    group="What is it made of?",
    reads="means",
    traits=("coordinates",),
    title="Largest difference in one dimension",
    question="Which dimensions carry the gap?",
    idea=(
        "The largest absolute difference of the means in one dimension; the details list all"
        " dimensions."
    ),
    equation=r"\max_k \lvert \mu_{x,k} - \mu_{y,k} \rvert",
    source="Schrodi et al. 2025, section 4, figure 4",
    direction="lower",
    low=0.0,
    high=2.0,
    interval="jackknife over groups of images, for the dimension that is largest on all data",
)

CONCENTRATION = Card(
    name="gap_concentration",
    group="What is it made of?",
    reads="means",
    traits=("coordinates",),
    title="Fraction of the gap in the top dimensions",
    question="Is the gap in few dimensions?",
    idea=(
        "The fraction of the squared distance between the means in the dimensions that differ most."
    ),
    equation=(
        r"\sum_{k \in \text{top}} (\mu_{x,k} - \mu_{y,k})^2 \,/\, \lVert \mu_x - \mu_y \rVert^2"
    ),
    source="Schrodi et al. 2025, section 4, figure 4",
    direction="neither",
    low=0.0,
    high=1.0,
    interval="jackknife over groups of images, for the dimensions that are largest on all data",
)


def _per_dimension_gap(evidence: Evidence) -> Value:
    found = evidence.moments
    gap = means(found.image) - means(found.text)
    order = np.argsort(-np.abs(gap[0]), kind="stable")
    return Value(
        float(abs(gap[0, order[0]])),
        jackknife(np.abs(gap[:, order[0]]), CARD.low, CARD.high),
        details={"dimensions": order.tolist(), "differences": gap[0, order].tolist()},
    )


def _gap_concentration(evidence: Evidence, *, top: int = 10) -> Value:
    """``top``: number of dimensions."""
    whole("top", top, 1)
    found = evidence.moments
    squared = (means(found.image) - means(found.text)) ** 2
    order = np.argsort(-squared[0], kind="stable")
    with np.errstate(divide="ignore", invalid="ignore"):
        values = squared[:, order[:top]].sum(1) / squared.sum(1)
        shares = squared[0, order].cumsum() / squared[0].sum()
    steps = [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= len(order)]
    return Value(
        float(values[0]),
        jackknife(values, CONCENTRATION.low, CONCENTRATION.high),
        details={"top": steps, "share": [float(shares[k - 1]) for k in steps]},
    )


per_dimension_gap = Measure(CARD, _per_dimension_gap)
gap_concentration = Measure(CONCENTRATION, _gap_concentration)
