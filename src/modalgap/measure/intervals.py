"""95 % intervals: how far a number would move with another sample of images.

Three makers, by the kind of number:

- ``jackknife``: a smooth function of sums. Groups of images are deleted in turn (Efron & Stein
  1981; delete-a-group: Kott 2001).
- ``wilson``: a share of images (Wilson 1927).
- ``bootstrap_counts``: a function of counts per class, resampled.

Numbers that only grow or shrink with the sample (Fréchet, effective rank, principal angles) have
none: an interval around a biased number would look like knowledge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
Interval = tuple[float, float] | None
Floats = NDArray[np.float64]


def jackknife(values: Floats, low: float | None = None, high: float | None = None) -> Interval:
    """Delete-a-group jackknife interval.

    Args:
        values: (1 + G,): the number on all data, then with each group deleted.
        low: least possible number; the interval is cut to the range.
        high: largest possible number.

    Returns:
        value ± t(G − 1) · √((G−1)/G · Σ(v_g − v̄)²), or None when it cannot be had.
    """
    value, left = values[0], values[1:]
    groups = len(left)
    if groups < 5 or not np.isfinite(values).all():
        return None
    error = np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum())
    return _cut(value, stats.t.ppf((1 + LEVEL) / 2, groups - 1) * error, low, high)


def jackknife_of_items(
    value: float, left: Floats, low: float | None, high: float | None
) -> Interval:
    """The same with single items deleted: ``left`` (n,) holds the number without each item."""
    n = len(left)
    if n < 5 or not np.isfinite(left).all():
        return None
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    return _cut(value, stats.norm.ppf((1 + LEVEL) / 2) * error, low, high)


def wilson(share: float, n: int) -> Interval:
    """Wilson interval of a share of n independent items."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, middle - half)  # exact at the ends, where rounding is not
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

    Not the percentiles of the draws: few items in many classes look uneven by chance, draws of them
    once more so, and their percentiles then lie beside the number.

    Args:
        counts: (classes,) items in each.
        number: counts (classes,) to a number in 0 … 1.
        seed: of the draws.
        draws: resamples.
    """
    n = int(counts.sum())
    random = np.random.default_rng(seed)
    found = [number(random.multinomial(n, counts / n).astype(np.float64)) for _ in range(draws)]
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.std(found)
    return _cut(number(counts.astype(np.float64)), half, 0.0, 1.0)


def _cut(value: float, half: float, low: float | None, high: float | None) -> Interval:
    bottom, top = float(value - half), float(value + half)
    bottom = bottom if low is None else max(low, min(bottom, float(value)))
    top = top if high is None else min(high, max(top, float(value)))
    return bottom, top
