"""Points on two circles of latitude of the unit sphere, and their contrastive loss.

Shared by simulations: images and texts have the same longitudes, and differ in latitude only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from modalgap.checks import Several, at_least, distinct, several
from modalgap.result import Value
from modalgap.trace import traced

ENDLESS = 1e-12  # a loss whose slope stays below minus this has no minimum
EQUAL = 1 + 1e-14  # ratio of two losses that differ by rounding only
ROUNDS, PARTS = 12, 12  # of the search for a minimum; a round divides the interval by 6


def scales_of(scales: Several[float]) -> list[float]:
    """Values of 1/τ.

    Raises:
        OptionError: none, a value outside its range, or the same value twice.
    """
    found = several("scales", scales, least=1)
    for each in found:
        at_least("scales", each, 1e-3, 1e6)
    distinct("scales", [f"{each:g}" for each in found])
    return [float(each) for each in found]


def circle(longitude: Tensor, latitude: Tensor) -> Tensor:
    """(k, n, 3) unit rows for longitudes (n,) and latitudes (k,), both in radians."""
    flat = torch.stack([longitude.cos(), longitude.sin()], -1)
    level = latitude[:, None, None]
    height = level.sin().expand(-1, len(longitude), 1)
    return torch.cat([level.cos() * flat, height], -1)


def losses(cosine: Tensor, own: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE (k,) of cosines (k, n, n).

    Args:
        cosine: of each image to each text.
        own: (n,) the text of each image, a permutation.
        scale: 1/τ.
    """
    logits = scale * cosine[..., own]  # matches are on the diagonal
    match = logits.diagonal(dim1=-2, dim2=-1)
    # subtracted before the exponentials: a loss near 0 keeps its digits
    rows, columns = logits - match[..., :, None], logits - match[..., None, :]
    return (rows.logsumexp(-1) + columns.logsumexp(-2)).mean(-1) / 2


def lowest(loss: Callable[[Tensor], Tensor], grid: Tensor) -> tuple[float, Value]:
    """The gap at which a loss is lowest, and the lowest loss with the curve.

    Args:
        loss: from gaps (k,) to losses (k,); the same for g and -g, and with one minimum over |g|.
        grid: (k,) gaps of the curve. The points of the search are part of the curve too, so that a
            narrow minimum between two points of the grid is found and drawn.
    """
    low, high = 0.0, float(grid.abs().max())
    gaps = [grid]
    for _ in range(ROUNDS):
        near = torch.linspace(low, high, PARTS + 1, dtype=grid.dtype)
        values = loss(near)
        at = int((values <= EQUAL * values.min()).nonzero()[0])  # the smallest gap of equal ones
        low, high = float(near[max(at - 1, 0)]), float(near[min(at + 1, PARTS)])
        gaps += [near, -near]
    every = torch.tensor(sorted(set(torch.cat(gaps).tolist())), dtype=grid.dtype)
    curve = loss(every)
    least = every[curve <= EQUAL * curve.min()].abs().min()
    return float(least), traced(float(curve.min()), every.tolist(), curve.tolist())


def best_sharpness(longitude: Tensor, own: Tensor) -> float:
    """The β at which InfoNCE of logits β cos(φ_i − φ_j) is lowest; infinite if it has no minimum.

    The loss is convex in β, so its slope has at most one root, found by bisection.

    Args:
        longitude: (n,) φ.
        own: (n,) the text of each image, a permutation.
    """
    cosine = (longitude[:, None] - longitude[None, own]).cos()
    match = cosine.diagonal().mean()

    def slope(sharpness: float) -> float:
        expected = [
            (torch.softmax(sharpness * cosine, side) * cosine).sum(side).mean() for side in (0, 1)
        ]
        return float((expected[0] + expected[1]) / 2 - match)

    last = float((cosine.amax(0).mean() + cosine.amax(1).mean()) / 2 - match)
    if last < ENDLESS:
        return math.inf
    low, high = 0.0, 1.0
    if slope(low) >= 0:
        return 0.0
    while slope(high) < 0:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2
