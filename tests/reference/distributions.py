"""Measures of two distributions, directly: in float64 over all pairs, by scipy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel

from reference.cases import Case, Floats


def energy_distance(case: Case) -> float:
    across, images, texts = (
        cdist(a, b).mean() for a, b in ((case.x, case.y), (case.x, case.x), (case.y, case.y))
    )
    return float(2 * across - images - texts)


def mmd_of(x: Floats, y: Floats, sigma: float) -> float:
    gamma = 1 / (2 * sigma**2)
    within = rbf_kernel(x, x, gamma).mean() + rbf_kernel(y, y, gamma).mean()
    return float(within - 2 * rbf_kernel(x, y, gamma).mean())


def mmd(case: Case) -> float:
    return mmd_of(case.x, case.y, float(np.median(cdist(case.x, case.y))))


def fisher_ratio(case: Case) -> float:
    """By scatter matrices, rows weighted so that both modalities count alike."""
    rows = np.concatenate([case.x, case.y])
    weights = np.repeat([0.5 / len(case.x), 0.5 / len(case.y)], [len(case.x), len(case.y)])
    centre = weights @ rows
    within = between = 0.0
    for side in (case.x, case.y):
        mean = side.mean(0)
        within += 0.5 * ((side - mean) ** 2).sum(1).mean()
        between += 0.5 * ((mean - centre) ** 2).sum()
    return float(between / within)


def participation_ratio(rows: Floats) -> float:
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    return float(values.sum() ** 2 / (values**2).sum())


def score_spread_ratio(own: Floats, other: Floats) -> float:
    """By counting all pairs of distinct items."""
    within = (own @ own.T)[~np.eye(len(own), dtype=bool)]
    return float(within.std() / (own @ other.T).std())


REFERENCES: dict[str, Callable[[Case], float]] = {
    "energy_distance": energy_distance,
    "mmd": mmd,
    "fisher_ratio": fisher_ratio,
    "participation_ratio_image": lambda case: participation_ratio(case.x),
    "participation_ratio_text": lambda case: participation_ratio(case.y),
    "score_spread_ratio_image": lambda case: score_spread_ratio(case.x, case.y),
    "score_spread_ratio_text": lambda case: score_spread_ratio(case.y, case.x),
}
