"""95 % intervals: how much a number would vary with another sample of images.

Three methods, by the kind of number:

- ``jackknife``: a smooth function of sums. Groups of images are deleted in turn (Efron & Stein
  1981; delete-a-group: Kott 2001).
- ``wilson``: a share of images (Wilson 1927).
- ``bootstrap_counts``: a function of counts per class, resampled.

Numbers that are biased with few rows (Fréchet, effective rank, principal angles) have no interval:
an interval around a biased number would be misleading.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
Interval = tuple[float, float] | None
Floats = NDArray[np.float64]


def jackknife(values: Floats, low: float | None = None, high: float | None = None) -> Interval:
    """Delete-a-group jackknife interval.

    Args:
        values: (1 + G,): the number on all data, then with each group deleted.
        low: least possible number; the interval is cut to the range.
        high: largest possible number.

    Returns:
        value ± t(G − 1) · √((G−1)/G · Σ(v_g − v̄)²), or None if it is not defined.
    """
    value, left = values[0], values[1:]
    groups = len(left)
    if groups < 5 or not np.isfinite(values).all():
        return None
    error = np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum())
    return _cut(value, student_t(groups - 1) * error, low, high)


def jackknife_of_items(
    value: float, left: Floats, low: float | None, high: float | None
) -> Interval:
    """Like ``jackknife``, with single items deleted: ``left`` (n,) is the number without each."""
    n = len(left)
    if n < 5 or not np.isfinite(left).all():
        return None
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    return _cut(value, Z * error, low, high)


def wilson(share: float, n: int) -> Interval:
    """Wilson interval of a share of n independent items."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, middle - half)  # exactly 0 in spite of rounding
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return float(low), float(high)


def mean_interval(
    groups: NDArray[np.int64], values: Floats, low: float | None = None, high: float | None = None
) -> Interval:
    """Interval of a mean of values that come in groups (several captions of one image).

    Args:
        groups: (n,) group of each value; groups are independent of one another.
        values: (n,).
        low: least possible number; the interval is cut to the range.
        high: largest possible number.
    """
    _, codes = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(codes, values), np.bincount(codes).astype(np.float64)
    total, n = sums.sum(), counts.sum()
    if len(sums) < 5:
        return None
    left = (total - sums) / (n - counts)
    return jackknife_of_items(float(total / n), left, low, high)


def bootstrap_counts(
    counts: NDArray[np.int64], number: Callable[[Floats], float], seed: int, draws: int = 500
) -> Interval:
    """The number ± 1.96 standard deviations of its bootstrap draws, cut to 0 … 1.

    Percentiles of the draws would be biased: few items in many classes are uneven by chance, and
    draws of them are even more uneven, so that the percentiles may not contain the number.

    Args:
        counts: (classes,) items in each.
        number: counts (classes,) to a number in 0 … 1.
        seed: for the draws.
        draws: number of draws.
    """
    n = int(counts.sum())
    random = np.random.default_rng(seed)
    found = [number(random.multinomial(n, counts / n).astype(np.float64)) for _ in range(draws)]
    half = Z * float(np.std(found))
    return _cut(number(counts.astype(np.float64)), half, 0.0, 1.0)


@functools.cache
def student_t(freedom: int) -> float:
    """The t for which Student's distribution has ``LEVEL`` of its mass in −t … t.

    With a whole number of degrees of freedom the mass is a finite sum in θ = arctan(t/√ν)
    (Abramowitz & Stegun 26.7.3, 26.7.4), which is inverted by bisection.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        theta = (low + high) / 2
        low, high = (theta, high) if _mass(theta, freedom) < LEVEL else (low, theta)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _mass(theta: float, freedom: int) -> float:
    cosine, odd = math.cos(theta), freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for i in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * i / (i + 1)
    total *= math.sin(theta)
    return 2 / math.pi * (theta + total) if odd else total


def _cut(value: float, half: float, low: float | None, high: float | None) -> Interval:
    bottom, top = float(value - half), float(value + half)
    bottom = bottom if low is None else max(low, min(bottom, float(value)))
    top = top if high is None else min(high, max(top, float(value)))
    return bottom, top
