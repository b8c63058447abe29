"""Relative modality gap: matched pairs' distance, set against distances inside the modalities.

Equation: m / (m + (a + b)/2) with D(u, v) = (1 − cos)/2, m its mean over matched pairs, a and b
over distinct pairs within images and within texts. Source: RMG in Schrodi et al. 2025, section 4.
Relations: 0.5 when a match is as far as a random pair inside a modality; unlike l2m it does not
    shrink with the cones.
Fails when: both modalities have collapsed to a point each (0/0). At least four other definitions
carry this name in public code (D unscaled, traces, L2, squared errors); this is the one of the
paper.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import mean_cosine, mean_squared_distance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="rmg",
    group="How large is the gap?",
    reads="means",
    title="Relative modality gap",
    question="Is the gap large compared with the spread of each modality?",
    idea=(
        "The distance of matched pairs relative to the distance of unrelated items within the"
        " modalities; 0.5 means equal."
    ),
    equation=r"\frac{m}{m + (a + b)/2},\quad D(u,v) = \tfrac12(1 - \cos(u,v))",
    source="Schrodi et al. 2025, section 4",
    direction="lower",
    low=0.0,
    high=1.0,
    needs=("pairs",),
    interval="jackknife over groups of images",
)


def _rmg(evidence: Evidence) -> Value:
    evidence.resolved()
    found = evidence.moments
    matched = mean_squared_distance(found.matches) / 4  # (1 − cos)/2 = ‖x − y‖²/4
    inside = (2 - mean_cosine(found.image) - mean_cosine(found.text)) / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        values = matched / (matched + inside)
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


rmg = Measure(CARD, _rmg)
