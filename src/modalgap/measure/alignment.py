"""Alignment: mean squared distance of matched pairs.

Equation: mean over matched pairs of ‖x − y‖². Source: Wang & Isola 2020, section 4.1.1 (with α =
    2).
Relations: 2 − 2 · matched_cosine. Interpret it together with uniformity.
Fails when: it is used alone. Collapsed embeddings have perfect alignment.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import mean_squared_distance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="alignment",
    group="How large is the gap?",
    reads="means",
    title="Alignment",
    question="How close are matched pairs, in squared distance?",
    idea="The squared distance between an image and its text, averaged over the matched pairs.",
    equation=r"\operatorname{mean}_i \lVert x_i - y_i \rVert^2",
    source="Wang & Isola 2020, section 4.1.1",
    direction="lower",
    low=0.0,
    high=4.0,
    needs=("pairs",),
    interval="jackknife over groups of images",
)


def _alignment(evidence: Evidence) -> Value:
    values = mean_squared_distance(evidence.moments.matches)
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


alignment = Measure(CARD, _alignment)
