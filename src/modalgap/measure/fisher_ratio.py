"""Fisher ratio of modality: variance between the modalities relative to variance within them.

Equation: tr S_B / tr S_W = ‖μ_x − μ_y‖² / (2(2 − ‖μ_x‖² − ‖μ_y‖²)) for unit rows, S_B and S_W the
scatter matrices between and within modalities, each modality with the same weight.
Source: Fisher 1936; Fukunaga 1990, section 10.2; modality as the class.
Relations: the square of l2m relative to the spread, from means alone; separability answers the same
question by a classifier.
Fails when: the gap lies in few directions. All directions count in the denominator, so a small
ratio does not mean that a classifier finds no modality.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import means
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="fisher_ratio",
    group="How large is the gap?",
    reads="means",
    title="Fisher ratio of modality",
    question="Is the gap large compared with the variance within the modalities?",
    idea="The variance between the modalities divided by the variance within them.",
    equation=(
        r"\frac{\operatorname{tr} S_B}{\operatorname{tr} S_W} = \frac{\lVert g \rVert^2}"
        r"{2\,(2 - \lVert \mu_x \rVert^2 - \lVert \mu_y \rVert^2)}"
    ),
    source="Fisher 1936; Fukunaga 1990, section 10.2",
    direction="lower",
    low=0.0,
    interval="jackknife over groups of images",
)


def _fisher_ratio(evidence: Evidence) -> Value:
    evidence.resolved()
    x, y = means(evidence.moments.image), means(evidence.moments.text)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = ((x - y) ** 2).sum(1) / (2 * (2 - (x**2).sum(1) - (y**2).sum(1)))
    return Value(float(values[0]), jackknife(values, CARD.low, CARD.high))


fisher_ratio = Measure(CARD, _fisher_ratio)
