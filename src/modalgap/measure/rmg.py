"""Relative modality gap: distance of matched pairs relative to distances within the modalities.

Equation: m / (m + (a + b)/2) with D(u, v) = (1 − cos)/2. m is the mean of D over matched pairs, a
and b are the means over distinct pairs of images and of texts.
Source: RMG in Schrodi et al. 2025, section 4.
Relations: 0.5 if a matched pair is as distant as a random pair of one modality. Unlike l2m it does
    not shrink if both cones become narrower.
Fails when: each modality has collapsed to one point (0/0). Public code uses this name for at least
four other definitions (D unscaled, traces, L2, squared errors); this is the definition of the
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
    traits=("size",),
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
