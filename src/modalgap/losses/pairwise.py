"""Functions of all pairs of rows that several losses use: cross-entropy and uniformity."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.checks import at_least, needs


def own_match(logits: Tensor) -> Tensor:
    """(n,) −log softmax at column i of row i of (n, m) logits."""
    target = torch.arange(len(logits), device=logits.device)
    return functional.cross_entropy(logits, target, reduction="none")


def without_self(square: Tensor) -> Tensor:
    """(n, n) with −∞ on the diagonal, so that its exponential is 0 there."""
    return square.masked_fill(diagonal(square), -torch.inf)


def diagonal(square: Tensor) -> Tensor:
    """(n, n) mask that is true on the diagonal."""
    return torch.eye(len(square), dtype=torch.bool, device=square.device)


def spread(x: Tensor, y: Tensor, t: float) -> Tensor:
    """Log mean exp(−t ‖x_i − y_j‖²) over i ≠ j, of (n, d) and (n, d)."""
    at_least("t", t, 1e-6)
    n = len(x)
    needs(n >= 2, "it needs at least two pairs, because it is a mean over distinct pairs")
    distance = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T  # (n, n)
    return without_self(-t * distance).flatten().logsumexp(0) - math.log(n * (n - 1))
