"""Mean cosine of matched pairs.

Equation: mean over matched pairs of ⟨x, y⟩. Source: Liang et al. 2022, section 4.
Relations: 1 − alignment/2. Compare it with cone_image and cone_text; alone it is hard to interpret.
Fails when: it is read as the probability of a match. With a gap, 0.3 can be a perfect match.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import mean_squared_distance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="matched_cosine",
    group="How large is the gap?",
    reads="means",
    title="Cosine of matched pairs",
    question="Why are my image-text cosines so low?",
    idea="The cosine between an image and its own text, averaged over the matched pairs.",
    equation=r"\operatorname{mean}_i \langle x_i, y_i \rangle",
    source="Liang et al. 2022, section 4",
    direction="higher",
    low=-1.0,
    high=1.0,
    needs=("pairs",),
    interval="jackknife over groups of images",
)


def _matched_cosine(evidence: Evidence) -> Value:
    values = 1 - mean_squared_distance(evidence.moments.matches) / 2
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


matched_cosine = Measure(CARD, _matched_cosine)
