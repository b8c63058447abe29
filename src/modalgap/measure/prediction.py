"""Prediction concentration: are zero-shot predictions concentrated on few classes?

Equations, over the counts n_c of predicted classes: Gini = Σ_c Σ_d |n_c − n_d| / (2 C Σ n);
normalised entropy = H(n/Σn) / log C. The details hold the same number for the true labels.
Source: Sato et al. 2026 (arXiv 2609.01103).
Relations: class_bias_spread predicts the effect of a raw shift on these numbers.
Fails when: the number of the true labels is ignored. If the data set is unbalanced, correct
predictions are concentrated too.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.counts import gini, normalised_entropy
from modalgap.errors import NotApplicable
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import bootstrap_counts
from modalgap.result import Value

_SOURCE = "Sato et al. 2026 (arXiv 2609.01103)"
_INTERVAL = "normal, with the spread of 500 bootstrap draws of the images, for this many images"

GINI = Card(
    name="prediction_gini",
    group="What does it do to search and to predictions?",
    title="Gini of predicted classes",
    question="Are predictions concentrated on few classes?",
    idea=(
        "The Gini coefficient of the counts of predicted classes; 0 is even. The details hold"
        " that of the labels."
    ),
    equation=r"\frac{\sum_{c,d} |n_c - n_d|}{2 C \sum_c n_c}",
    source=_SOURCE,
    direction="lower",
    low=0.0,
    high=1.0,
    needs=("labels",),
    interval=_INTERVAL,
)
ENTROPY = Card(
    name="prediction_entropy",
    group="What does it do to search and to predictions?",
    title="Entropy of predicted classes",
    question="Do predictions use all classes?",
    idea=(
        "The entropy of the counts of predicted classes divided by its maximum; 1 is even. The"
        " details hold that of the labels."
    ),
    equation=r"H(n / \textstyle\sum n) / \log C",
    source=_SOURCE,
    direction="higher",
    low=0.0,
    high=1.0,
    needs=("labels",),
    interval=_INTERVAL,
)


def _concentration(evidence: Evidence, seed: int, which: str) -> Value:
    pair = evidence.pair
    if pair.labels is None:
        raise NotApplicable("it needs labels: the class prompt of each image")
    number = gini if which == "gini" else normalised_entropy
    predicted = np.bincount(evidence.predictions.numpy(), minlength=pair.text.n)
    true = np.bincount(pair.labels, minlength=pair.text.n)
    return Value(
        number(predicted.astype(np.float64)),
        bootstrap_counts(predicted, number, seed),
        details={
            "labels": number(true.astype(np.float64)),
            "accuracy": float((evidence.predictions.numpy() == pair.labels).mean()),
        },
    )


def _prediction_gini(evidence: Evidence, *, seed: int = 0) -> Value:
    """``seed``: of the bootstrap."""
    return _concentration(evidence, seed, "gini")


def _prediction_entropy(evidence: Evidence, *, seed: int = 0) -> Value:
    """``seed``: of the bootstrap."""
    return _concentration(evidence, seed, "entropy")


prediction_gini = Measure(GINI, _prediction_gini)
prediction_entropy = Measure(ENTROPY, _prediction_entropy)
