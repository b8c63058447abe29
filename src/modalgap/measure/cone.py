"""The cone: mean cosine between distinct items of one modality.

Equation: (‖Σu‖² − n) / (n(n − 1)) for unit rows. Source: Liang et al. 2022, section 2.1 (cone
    effect).
Relations: 1 − cone is the total variance that ``trace_ratio`` compares. 0 means that directions
    cover the sphere; 1 means that all rows are equal.
Fails when: no known case. Public code often includes the diagonal, which adds (1 − cone)/n.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.measure.base import Measure, Side
from modalgap.measure.first import mean_cosine
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="cone",
    group="How does each modality fill its space?",
    traits=("size",),
    reads="means",
    roles=("modality",),
    title="Cone",
    question="How narrow is the cone of one modality?",
    idea="The mean cosine between distinct items of one modality.",
    equation=r"\frac{\lVert \sum_i u_i \rVert^2 - n}{n(n-1)}",
    source="Liang et al. 2022, section 2.1",
    direction="lower",
    low=-1.0,
    high=1.0,
    interval="jackknife over groups of images; none for class prompts, which are a fixed set",
)


def _cone(side: Side) -> Value:
    values = mean_cosine(side.moments)
    fixed = side.moments.counts[:-1].sum() == 0  # class prompts are a population, not a sample
    interval = None if fixed else jackknife(values, CARD.low, CARD.high)
    return Value(float(values[0]), interval)


cone = Measure(CARD, _cone)
