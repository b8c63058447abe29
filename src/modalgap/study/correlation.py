"""Rank correlation of two numbers over models: Kendall's τ, its interval, and its p-value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modalgap.result import Value

DRAWS = 2000  # bootstrap samples of models
PERMUTATIONS = 9999  # as in Schrodi et al. 2025
LEAST = 4  # models for which a correlation is computed
NOTE = (
    f"τ: Kendall's τ_b over models; intervals: 95 %, bootstrap over models; p: {PERMUTATIONS:,}"
    " permutations, two-sided"
)


def tau(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> Value:
    """Kendall's τ_b with a 95 % bootstrap interval over models.

    Args:
        x: (n,) one number of each model.
        y: (n,) another number of each model.
        seed: of the bootstrap and of the permutations.

    Returns:
        τ_b in [−1, 1]; 0 if one of the numbers is constant. The details have ``p``, the two-sided
        p-value of 9,999 permutations of the pairings, ``models``, and the points ``x`` and ``y``.
    """
    signs = _signs(x), _signs(y)
    random = np.random.default_rng(seed)
    n = len(x)
    found = _tau(*signs)
    draws = [_tau(*(s[np.ix_(i, i)] for s in signs)) for i in random.integers(0, n, (DRAWS, n))]
    low, high = np.quantile(draws, [0.025, 0.975])
    extreme = 0
    for _ in range(PERMUTATIONS):
        order = random.permutation(n)
        extreme += abs(_tau(signs[0], signs[1][np.ix_(order, order)])) >= abs(found) - 1e-12
    details = {
        "p": (extreme + 1) / (PERMUTATIONS + 1),
        "models": n,
        "x": [float(each) for each in x],
        "y": [float(each) for each in y],
    }
    return Value(found, (float(low), float(high)), details=details)


def partial(x: Sequence[float], y: Sequence[float], z: Sequence[float], *, seed: int = 0) -> Value:
    """Kendall's partial τ of x and y with z held fixed, with a bootstrap interval over models.

    Equation: (τ_xy − τ_xz τ_yz) / √((1 − τ_xz²)(1 − τ_yz²)). Source: Kendall 1942.

    Args:
        x: (n,) one number of each model.
        y: (n,) another number of each model.
        z: (n,) the number that is held fixed.
        seed: of the bootstrap.

    Returns:
        The partial τ; 0 if z determines the order of x or of y.
    """
    signs = [_signs(each) for each in (x, y, z)]
    draws = np.random.default_rng(seed).integers(0, len(x), (DRAWS, len(x)))
    found = [_partial(*(each[np.ix_(i, i)] for each in signs)) for i in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return Value(_partial(*signs), (float(low), float(high)))


def _partial(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    ab, ac, bc = _tau(a, b), _tau(a, c), _tau(b, c)
    scale = (1 - ac**2) * (1 - bc**2)
    return float((ab - ac * bc) / np.sqrt(scale)) if scale > 1e-12 else 0.0


def _signs(x: Sequence[float]) -> NDArray[np.float64]:
    """(n, n) whether item i is larger (1) or smaller (−1) than item j."""
    values = np.asarray(x, np.float64)
    return np.sign(values[:, None] - values[None, :])


def _tau(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else 0.0
