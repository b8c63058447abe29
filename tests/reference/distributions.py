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


REFERENCES: dict[str, Callable[[Case], float]] = {
    "energy_distance": energy_distance,
    "mmd": mmd,
}
