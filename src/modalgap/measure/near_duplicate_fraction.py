"""Near duplicates: how many items have an almost equal item in their own modality?

Equation: mean_u [max_{v ≠ u} cos(u, v) ≥ t], t = 0.98.
Source: near-duplicate removal by embeddings, Abbas et al. 2023 (SemDeDup).
Relations: duplicates take neighbours away from hubness, antihub_fraction and nas, and share answers
in search: the right item and its copy compete.
Fails when: the cone is so narrow that different items reach the threshold; compare cone.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.card import Card
from modalgap.measure.base import Measure, Side
from modalgap.measure.intervals import wilson
from modalgap.result import Value

K = 10  # the sweep also finds the neighbours that hubness asks for by default

CARD = Card(
    name="near_duplicate_fraction",
    group="How does each modality fill its space?",
    traits=("size",),
    roles=("modality",),
    title="Near duplicates",
    question="How many items have an almost equal item in their own modality?",
    idea="The fraction of items whose nearest item of the same modality is above a threshold.",
    equation=r"\operatorname{mean}_u [\max_{v \ne u} \cos(u, v) \ge t]",
    source="Abbas et al. 2023, arXiv 2303.09540",
    direction="lower",
    low=0.0,
    high=1.0,
    interval="Wilson, with as many independent items as images, for this gallery",
)


def _near_duplicate_fraction(
    side: Side, *, threshold: float = 0.98, max_rows: int = 30_000, seed: int = 0
) -> Value:
    """``threshold``: t. Among at most ``max_rows`` rows, drawn with ``seed``."""
    checks.share("threshold", threshold)
    checks.whole("max_rows", max_rows, 2)
    k = min(K, min(side.n, max_rows) - 1)
    near = side.nearest_cosine(k, max_rows, seed) >= threshold - 1e-6  # rounding of float32
    value = float(near.double().mean())
    clusters = np.unique(side.clusters[side.sample(max_rows, seed)].numpy())
    return Value(value, wilson(value, len(clusters)))


near_duplicate_fraction = Measure(CARD, _near_duplicate_fraction)
