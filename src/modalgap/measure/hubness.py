"""Hubness: are a few items neighbours of most other items?

Equation: skewness of N_k(u), how often u is among the k nearest of the other items of its modality.
Source: Radovanović et al. 2010.
Relations: prediction_gini measures the same across modalities: classes that attract too many
images.
Fails when: there are many duplicates: each copy takes the place of a neighbour.
"""

from __future__ import annotations

import numpy as np
import torch

from modalgap.card import Card
from modalgap.checks import needs, whole
from modalgap.measure.base import Measure, Side
from modalgap.result import Value

CARD = Card(
    name="hubness",
    group="How does each modality fill its space?",
    traits=("size",),
    roles=("modality",),
    title="Hubness",
    question="Are a few items among the neighbours of many others?",
    idea=(
        "The skewness of how often items are among the k nearest of others; 0 is even, above 1"
        " there are hubs."
    ),
    equation=r"\operatorname{skew}(N_k)",
    source="Radovanović et al. 2010",
    direction="lower",
    interval="none: the counts are not independent",
)


def _hubness(side: Side, *, k: int = 10, max_rows: int = 30_000, seed: int = 0) -> Value:
    """``k`` neighbours among at most ``max_rows`` rows, drawn with ``seed``."""
    whole("k", k, 1)
    whole("max_rows", max_rows, 2)
    side.resolved()
    number = min(side.n, max_rows)
    needs(number > k, f"it needs more than k={k} items; found {number}")
    top = side.within(k, max_rows, seed)
    counts = torch.bincount(top.reshape(-1), minlength=number).double().numpy()
    needs(bool(np.ptp(counts) > 0), "every item is a neighbour equally often")
    away = counts - counts.mean()
    skewness = (away**3).mean() / (away**2).mean() ** 1.5
    return Value(float(skewness), details={"largest": int(counts.max())})


hubness = Measure(CARD, _hubness)
