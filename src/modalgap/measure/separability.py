"""Separability: can a linear classifier distinguish images from texts?

Equation: held-out accuracy of logistic regression, image against text, equal numbers of each.
Source: classifier two-sample test, Lopez-Paz & Oquab 2017; linear for CLIP in Shi et al. 2023.
Relations: 1 whenever there is a gap of any size in many dimensions; it shows *whether* there is a
    gap, l2m shows *how much*.
Fails when: there are few rows compared with dimensions: accuracy is then noisy. Folds keep an image
and its captions together.
"""

from __future__ import annotations

import numpy as np
import torch

from modalgap.card import Card
from modalgap.checks import needs, sample, whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.classifier import folds, logistic
from modalgap.measure.intervals import wilson
from modalgap.result import Value

FOLDS = 5

CARD = Card(
    name="separability",
    group="How large is the gap?",
    traits=("order", "sampled", "size"),
    title="Linear separability",
    question="Can a linear classifier distinguish the modalities?",
    idea="The held-out accuracy of a logistic regression of image against text; 0.5 is chance.",
    equation=r"\operatorname{mean}\,[\hat z(u) = z(u)]",
    source="Lopez-Paz & Oquab 2017",
    direction="lower",
    low=0.0,
    high=1.0,
    interval="Wilson, with as many independent items as images",
)


def _separability(evidence: Evidence, *, max_rows: int = 1000, seed: int = 0) -> Value:
    """At most ``max_rows`` rows of each modality, drawn with ``seed``."""
    whole("max_rows", max_rows, FOLDS)
    number = min(max_rows, evidence.image.n, evidence.text.n)
    images, texts = sample(evidence.image.n, number, seed), sample(evidence.text.n, number, seed)
    groups = np.concatenate([evidence.image.clusters[images], evidence.text.clusters[texts]])
    needs(len(np.unique(groups)) >= FOLDS, f"it needs at least {FOLDS} items for its folds")
    rows = torch.cat([evidence.pair.image.take(images), evidence.pair.text.take(texts)])
    rows = rows.double() * evidence.pair.dim**0.5  # unit variance, as the penalty expects
    kind = torch.arange(2, dtype=torch.float64).repeat_interleave(number)
    right = torch.zeros(len(kind), dtype=torch.float64)
    for held_out in map(torch.from_numpy, folds(groups, FOLDS)):
        if kind[~held_out].min() == kind[~held_out].max():
            continue
        w = logistic(rows[~held_out], kind[~held_out])
        right[held_out] = ((rows[held_out] @ w[:-1] + w[-1] > 0) == kind[held_out]).double()
    value = float(right.mean())
    return Value(value, wilson(value, len(np.unique(groups))))


separability = Measure(CARD, _separability)
