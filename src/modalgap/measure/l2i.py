"""Distance between matched pairs: how far an image is from its own text.

Equation: mean over matched pairs of ‖x − y‖. Source: L2I in Schrodi et al. 2025, section 4.
Relations: never below l2m if matches are one to one. The excess over l2m is content that the two
modalities do not share.
Fails when: there are few pairs, or wrong matches. The value then rises as if the gap were larger.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import mean_distance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="l2i",
    group="How large is the gap?",
    reads="means",
    title="Distance between matched pairs",
    question="How far is an image from its own text?",
    idea="The Euclidean distance between an image and its text, averaged over the matched pairs.",
    equation=r"\operatorname{mean}_i \lVert x_i - y_i \rVert",
    source="Schrodi et al. 2025, section 4",
    direction="lower",
    low=0.0,
    high=2.0,
    needs=("pairs",),
    interval="jackknife over groups of images",
)


def _l2i(evidence: Evidence) -> Value:
    values = mean_distance(evidence.moments.matches)
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


l2i = Measure(CARD, _l2i)
