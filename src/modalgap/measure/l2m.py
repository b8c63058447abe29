"""Distance between the means of the two modalities.

Equation: ‖μ_x − μ_y‖. Source: Liang et al. 2022, section 4; L2M in Schrodi et al. 2025, section 4.
Relations: its square is the part of the squared Fréchet distance that a shift can remove; see
    ``distribution_gap`` for the rest.
Fails when: there are few rows. Their means differ by chance; ``details["noise"]`` is the distance
to expect from sampling if there is no gap.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.first import means, variance
from modalgap.measure.intervals import jackknife
from modalgap.result import Value

CARD = Card(
    name="l2m",
    group="How large is the gap?",
    reads="means",
    title="Distance between means",
    question="How far apart are the two modalities?",
    idea="The Euclidean distance between the mean image and the mean text embedding.",
    equation=r"\lVert \mu_x - \mu_y \rVert",
    source="Liang et al. 2022, section 4; Schrodi et al. 2025, section 4",
    direction="lower",
    low=0.0,
    high=2.0,
    interval="jackknife over groups of images",
)


def _l2m(evidence: Evidence) -> Value:
    found = evidence.moments
    values = np.linalg.norm(means(found.image) - means(found.text), axis=1)
    noise = variance(found.image)[0] / found.image.n + variance(found.text)[0] / found.text.n
    return Value(
        float(values[0]),
        jackknife(values, CARD.low, CARD.high),
        details={"noise": float(np.sqrt(noise))},
    )


l2m = Measure(CARD, _l2m)
