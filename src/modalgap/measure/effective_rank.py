"""Effective rank: the number of directions that one modality uses.

Equation: exp(−Σ p_k log p_k), p the eigenvalues of the covariance divided by their sum. Source: Roy
    & Vetterli 2007.
Relations: ``principal_angles`` compares the directions of the two modalities.
Fails when: there are fewer rows than dimensions. It cannot exceed n − 1.
"""

from __future__ import annotations

import torch

from modalgap.card import Card
from modalgap.checks import needs
from modalgap.measure.base import Measure, Side
from modalgap.result import Value

CARD = Card(
    name="effective_rank",
    group="How does each modality fill its space?",
    reads="covariances",
    roles=("modality",),
    title="Effective rank",
    question="How many directions does one modality use?",
    idea="The exponential of the entropy of the normalised covariance spectrum.",
    equation=r"\exp\left(-\sum_k p_k \log p_k\right)",
    source="Roy & Vetterli 2007",
    direction="higher",
    low=1.0,
    interval="none: biased downward with few rows, so an interval would be misleading",
)


def _effective_rank(side: Side) -> Value:
    values, _ = side.spectrum
    needs(bool(values.sum() > 1e-12), "all rows of this modality are the same")
    share = values / values.sum()
    return Value(float(torch.special.entr(share).sum().exp()))


effective_rank = Measure(CARD, _effective_rank)
