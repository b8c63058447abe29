"""Energy distance: how far apart are the distributions of the modalities, in place and in shape?

Equation: 2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖, means over all pairs, a row and itself included.
Source: Székely & Rizzo 2013.
Relations: 0 only if both distributions are equal, unlike l2m, which compares the means. It has no
bandwidth to choose, unlike mmd. ``details["shuffled"]`` is the mean of 20 random divisions of the
pooled rows: what the number is without a gap.
Fails when: there are few rows. It is above 0 for two samples of one distribution.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.checks import whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import jackknife
from modalgap.measure.two_samples import contrast
from modalgap.result import Value

CARD = Card(
    name="energy_distance",
    group="How large is the gap?",
    title="Energy distance",
    question="How far apart are the two distributions, in place and in shape?",
    idea=(
        "Twice the mean distance across modalities minus the mean distances within them; 0 means"
        " that both distributions are equal."
    ),
    equation=(
        r"2\,\mathbb{E}\lVert x - y \rVert - \mathbb{E}\lVert x - x' \rVert"
        r" - \mathbb{E}\lVert y - y' \rVert"
    ),
    source="Székely & Rizzo 2013",
    direction="lower",
    low=0.0,
    high=4.0,
    interval="jackknife over groups of images",
)


def _distance(cosines: Tensor) -> Tensor:
    return cosines.mul_(-2).add_(2).clamp_(min=0).sqrt_()


def _energy_distance(evidence: Evidence, *, max_rows: int = 5000, seed: int = 0) -> Value:
    """At most ``max_rows`` rows of each modality, drawn with ``seed``."""
    whole("max_rows", max_rows, 2)
    evidence.resolved()
    found = contrast(evidence, _distance, 0.0, max_rows=max_rows, seed=seed)
    values = -found.values
    return Value(
        max(0.0, float(values[0])),
        jackknife(values, CARD.low, CARD.high),
        details={"shuffled": float(-found.shuffled.mean())},
    )


energy_distance = Measure(CARD, _energy_distance)
