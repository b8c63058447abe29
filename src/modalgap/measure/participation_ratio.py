"""Participation ratio: the number of directions that hold most of the variance of one modality.

Equation: (Σ λ_k)² / Σ λ_k², λ the eigenvalues of the covariance, that is tr(Σ)² / tr(Σ²); no
eigenvalue is computed. Source: Bell & Dean 1970; for neural representations Gao et al. 2017.
Relations: effective_rank uses the entropy instead of the sum of squares, and is never smaller:
small eigenvalues count more in it.
Fails when: there are fewer rows than dimensions. It cannot exceed n − 1.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.measure.base import Measure, Side
from modalgap.result import Value

CARD = Card(
    name="participation_ratio",
    group="How does each modality fill its space?",
    reads="covariances",
    roles=("modality",),
    title="Participation ratio",
    question="How many directions hold most of the variance of one modality?",
    idea="The squared sum of the covariance spectrum divided by the sum of its squares.",
    equation=r"\left(\sum_k \lambda_k\right)^2 / \sum_k \lambda_k^2",
    source="Bell & Dean 1970; Gao et al. 2017",
    direction="higher",
    low=1.0,
    interval="none: biased downward with few rows, so an interval would be misleading",
)


def _participation_ratio(side: Side) -> Value:
    side.resolved()
    covariance = side.moments.covariance
    return Value(max(1.0, float(np.trace(covariance) ** 2 / (covariance**2).sum())))


participation_ratio = Measure(CARD, _participation_ratio)
