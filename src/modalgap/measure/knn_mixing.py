"""Mixing of neighbours: in one pool of both modalities, how many neighbours are of the other one?

Equation: the mean, over all images and texts, of the fraction of their k nearest items that are of
the other modality; the item itself is left out.
Source: nearest-neighbour two-sample statistic, Schilling 1986 and Henze 1988, with 1 − fraction.
Relations: a graded form of itr and tir, which look at the first neighbour only. Without a gap it is
near ``details["without_gap"]``; with a large gap it is 0.
Fails when: the two sides differ much in number: the larger one is nearer by chance.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.checks import needs, whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import mean_interval, wilson
from modalgap.measure.neighbours import others_among
from modalgap.result import Value

CARD = Card(
    name="knn_mixing",
    group="What does it do to search and to predictions?",
    traits=("size",),
    title="Mixing of neighbours",
    question="In a mixed pool, how many of the nearest items are of the other modality?",
    idea=(
        "The fraction of the k nearest items in a mixed pool that are of the other modality,"
        " averaged over all images and texts."
    ),
    equation=r"\operatorname{mean}_u \tfrac1k \lvert \{v \in N_k(u) : z(v) \ne z(u)\} \rvert",
    source="Schilling 1986; Henze 1988",
    direction="higher",
    low=0.0,
    high=1.0,
    interval="jackknife over images, for this pool; Wilson where all fractions are equal",
)


def _knn_mixing(evidence: Evidence, *, k: int = 20, max_rows: int = 10_000, seed: int = 0) -> Value:
    """``k`` neighbours in a pool of at most ``max_rows`` rows of each, drawn with ``seed``."""
    whole("k", k, 1)
    whole("max_rows", max_rows, 2)
    evidence.resolved()
    chosen = [side.sample(max_rows, seed) for side in evidence.sides]
    n, m = map(len, chosen)
    needs(n + m > k + 1, f"it needs a pool of more than {k + 1} items; found {n + m}")
    x, y = (side.embeddings.take(index) for side, index in zip(evidence.sides, chosen, strict=True))
    fractions = [others_among(*pool, k).double().numpy() / k for pool in ((x, y), (y, x))]
    of_image, of_text = (
        side.clusters[index].numpy() for side, index in zip(evidence.sides, chosen, strict=True)
    )
    if evidence.pair.labels is not None:  # prompts are items of their own
        of_text = of_text + evidence.image.n
    clusters, values = np.concatenate([of_image, of_text]), np.concatenate(fractions)
    value = float(values.mean())
    interval = mean_interval(clusters, values, CARD.low, CARD.high)
    if np.ptp(values) == 0:
        interval = wilson(value, len(np.unique(clusters)))
    image, text = evidence.sides
    return Value(
        value,
        interval,
        details={
            image.modality: float(fractions[0].mean()),
            text.modality: float(fractions[1].mean()),
            "without_gap": 2 * n * m / ((n + m) * (n + m - 1)),
        },
    )


knn_mixing = Measure(CARD, _knn_mixing)
