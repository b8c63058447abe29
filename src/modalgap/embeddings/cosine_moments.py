"""Mean and standard deviation of the cosines between two sets of rows, from their moments alone.

For independent unit rows q and m with means μ and covariances Σ:

    mean     μ_q · μ_m
    variance tr(Σ_q Σ_m) + μ_mᵀ Σ_q μ_m + μ_qᵀ Σ_m μ_q

No cosine is computed, no pairing is needed, and moments of shards can be merged first. The result
is that of all n·m pairs. Of one set with itself, this includes each row with itself: with n rows it
moves the mean by (1 − mean) / n.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
MeanAndCovariance = tuple[Floats, Floats]
SMALLEST = 1e-5  # standard deviations of cosines below it are rounding errors of equal cosines


def cosine_moments(first: MeanAndCovariance, second: MeanAndCovariance) -> tuple[float, float]:
    """Mean and standard deviation of the cosines of independent rows of two sets.

    Args:
        first: mean (d,) and covariance (d, d) of unit rows.
        second: the same of the other set.

    Returns:
        The mean, and the standard deviation, which is 0 where rounding makes the variance negative.
    """
    (mean_q, cov_q), (mean_m, cov_m) = first, second
    variance = float((cov_q * cov_m).sum() + mean_m @ cov_q @ mean_m + mean_q @ cov_m @ mean_q)
    return float(mean_q @ mean_m), max(variance, 0.0) ** 0.5


def mean_and_covariance(parts: Iterable[Tensor]) -> MeanAndCovariance:
    """Mean (d,) and covariance (d, d), by n − 1, of the rows of all parts; rows are not scaled."""
    n, shift = 0, torch.empty(0)
    total = scatter = torch.zeros(1, dtype=torch.float64)
    for rows in parts:
        if n == 0:  # sums of squares about a near mean lose no digits
            shift = rows.double().mean(0).float()
        moved = rows - shift
        total = total + moved.double().sum(0)
        scatter = scatter + (moved.T @ moved).double()
        n += len(rows)
    apart = total / n
    covariance = (scatter - n * torch.outer(apart, apart)) / max(n - 1, 1)
    return (shift.double() + apart).numpy(), covariance.numpy()


def fuse(image: Tensor, text: Tensor) -> Tensor:
    """Documents that hold an image and a text: unit rows (n, d) half way between the two."""
    return torch.nn.functional.normalize(image + text, dim=1)
