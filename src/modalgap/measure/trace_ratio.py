"""Trace ratio: which modality has the larger total variance.

Equation: tr Σ_x / tr Σ_y (image over text). Source: arXiv 2505.03703; the scale that ``realign``
    corrects (2602.07026). 1 means equal variance; above 1, images vary more.
Relations: for unit rows tr Σ = n/(n−1) · (1 − ‖μ‖²), so it needs first moments only.
Fails when: one modality has collapsed to a point (division by zero).
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import variance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="trace_ratio",
    group="What is it made of?",
    traits=("size",),
    reads="means",
    title="Trace ratio",
    question="Is one modality more spread out than the other?",
    idea="The total variance of the images divided by that of the texts.",
    equation=r"\operatorname{tr}\Sigma_x / \operatorname{tr}\Sigma_y",
    source="arXiv 2505.03703; arXiv 2602.07026",
    direction="neither",
    low=0.0,
    interval="jackknife over groups of images",
)


def _trace_ratio(evidence: Evidence) -> Value:
    evidence.resolved()
    found = evidence.moments
    with np.errstate(divide="ignore", invalid="ignore"):
        values = variance(found.image) / variance(found.text)
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


trace_ratio = Measure(CARD, _trace_ratio)
