"""Class-bias spread: how much the bias that a raw shift adds to scores differs between classes.

Equation: standard deviation over texts c of ⟨g, y_c⟩, which is √(gᵀ Σ_y g) with Σ_y of all m texts
    (divided by m).
Source: Sato et al. 2026 (arXiv 2609.01103): the bias b_c = −⟨g, y_c⟩ predicts where
    predictions concentrate.
Relations: leakage_text measures the gap only within the directions that explain 90 % of the
variance, so each of the two can be large alone. The unit is cosine: compare the value with the
margins between classes. Lower is safer.
Fails when: texts are captions and not classes. The value is then only the spread of captions along
the gap.
"""

from __future__ import annotations

import torch

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.result import Value

CARD = Card(
    name="class_bias_spread",
    group="Is it safe to close?",
    reads="covariances",
    title="Class-bias spread",
    question="Would a raw shift favour some classes?",
    idea=(
        "The standard deviation of the bias that a shift along the gap adds to the score of"
        " each text."
    ),
    equation=r"\operatorname{std}_c \langle g, y_c \rangle",
    source="Sato et al. 2026 (arXiv 2609.01103)",
    direction="lower",
    low=0.0,
    interval="none: the texts are the population, not a sample",
)


def _class_bias_spread(evidence: Evidence) -> Value:
    gap, text = evidence.gap, evidence.moments.text
    along = gap @ torch.from_numpy(text.covariance) @ gap * (text.n - 1) / text.n
    return Value(float(along.clamp_min(0).sqrt()))


class_bias_spread = Measure(CARD, _class_bias_spread)
