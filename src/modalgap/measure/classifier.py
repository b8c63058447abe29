"""Logistic regression with an L2 penalty, fitted by L-BFGS.

scikit-learn gives the same model, but importing it takes longer than most measures. Therefore the
classifier is fitted here and tested against scikit-learn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TOLERANCE = 1e-6  # largest entry of the gradient of the mean loss
MEMORY = 10  # past steps that L-BFGS uses
STEPS = 1000


def logistic(rows: Tensor, kind: Tensor) -> Tensor:
    """Weights that minimise the logistic loss plus ½‖w‖²; the intercept has no penalty.

    Args:
        rows: (n, d) float64.
        kind: (n,) float64, 0 or 1.

    Returns:
        (d + 1,): weights and the intercept. The prediction is 1 if ``row @ w[:-1] + w[-1] > 0``.
    """
    n, d = rows.shape
    columns = torch.cat([rows, torch.ones(n, 1, dtype=rows.dtype)], dim=1)
    penalty = torch.full((d + 1,), 1.0 / n, dtype=rows.dtype)
    penalty[-1] = 0

    def objective(w: Tensor) -> tuple[float, Tensor]:
        margin = columns @ w
        loss = torch.nn.functional.softplus(margin) - kind * margin
        gradient = (torch.sigmoid(margin) - kind) @ columns / n + penalty * w
        return float(loss.mean() + (penalty * w * w).sum() / 2), gradient

    w = torch.zeros(d + 1, dtype=rows.dtype)
    value, gradient = objective(w)
    kept: deque[tuple[Tensor, Tensor]] = deque(maxlen=MEMORY)
    for _ in range(STEPS):
        if float(gradient.abs().max()) <= TOLERANCE:
            break
        direction = -_newton(gradient, kept)
        slope = float(gradient @ direction)
        step = 1.0 if kept else 1 / max(1.0, float(gradient.norm()))
        for _ in range(50):
            moved = w + step * direction
            after, bent = objective(moved)
            if after <= value + 1e-4 * step * slope:
                break
            step /= 2
        else:  # the loss cannot be lowered further because of rounding
            break
        kept.append((moved - w, bent - gradient))
        w, value, gradient = moved, after, bent
    return w


def _newton(gradient: Tensor, kept: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """The L-BFGS estimate of the inverse Hessian times the gradient (two-loop recursion)."""
    result = gradient.clone()
    weights = []
    for s, y in reversed(kept):
        weights.append((s @ result) / (s @ y))
        result -= weights[-1] * y
    if kept:
        s, y = kept[-1]
        result *= (s @ y) / (y @ y)
    for (s, y), weight in zip(kept, reversed(weights), strict=True):
        result += (weight - (y @ result) / (s @ y)) * s
    return result


def folds(groups: NDArray[np.int64], count: int) -> Iterator[NDArray[np.bool_]]:
    """Masks (n,) of the rows that each of ``count`` folds holds out; a group is never split.

    Groups are assigned in order of size, largest first, each to the fold with the fewest rows.
    """
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    filled = np.zeros(count, np.int64)
    fold = np.zeros(len(sizes), np.int64)
    for group in np.argsort(sizes, kind="stable")[::-1]:
        fold[group] = filled.argmin()
        filled[fold[group]] += sizes[group]
    for number in range(count):
        yield fold[codes] == number
