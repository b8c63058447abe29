"""Sweeps over all pairs of rows, a block at a time: nearest neighbours within and across modalities.

A block of similarities is the most that is ever held; see ``linalg.blocks``. Nothing is sorted beyond the k asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modalgap.linalg import blocks
from modalgap.progress import progress


@dataclass(frozen=True, eq=False)
class Within:
    """Neighbours of each row among the other rows of its modality.

    Attributes:
        top: (n, k) their indices, nearest first.
        above: (n,) how many exceed a cosine given for each row, or None when none was given.
    """

    top: Tensor
    above: Tensor | None


def within(rows: Tensor, k: int, best: Tensor | None = None) -> Within:
    """The k nearest other rows of each row.

    Args:
        rows: (n, d) unit rows, k < n.
        k: neighbours.
        best: (n,) cosines to count above, or None.
    """
    n = len(rows)
    top = torch.empty(n, k, dtype=torch.int64)
    above = None if best is None else torch.empty(n, dtype=torch.int64)
    spans = list(blocks(n, n))
    product = torch.empty(spans[0][1], n)
    with progress("neighbours", n) as advance:
        for a, b in spans:
            cosine = torch.mm(rows[a:b], rows.T, out=product[: b - a])
            cosine[torch.arange(b - a), torch.arange(a, b)] = -torch.inf  # not its own neighbour
            top[a:b] = cosine.topk(k, dim=1).indices
            if above is not None and best is not None:
                above[a:b] = _count_above(cosine, best[a:b])
            advance(b - a)
    return Within(top, above)


def best_across(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Largest cosine of each row of x (n, d) with any of y (m, d), and of each of y with any of x."""
    best_x = torch.empty(len(x))
    best_y = torch.full((len(y),), -torch.inf)
    spans = list(blocks(len(x), len(y)))
    product = torch.empty(spans[0][1], len(y))
    with progress("neighbours across", len(x)) as advance:
        for a, b in spans:
            cosine = torch.mm(x[a:b], y.T, out=product[: b - a])
            best_x[a:b] = cosine.amax(1)
            torch.maximum(best_y, cosine.amax(0), out=best_y)
            advance(b - a)
    return best_x, best_y


def nearest(x: Tensor, y: Tensor) -> Tensor:
    """(n,) index of the row of y nearest to each row of x."""
    return torch.cat([(x[a:b] @ y.T).argmax(1) for a, b in blocks(len(x), len(y))])


def _count_above(values: Tensor, limits: Tensor) -> Tensor:
    """(b,) how many of each row of values (b, n) exceed its limit; overwrites values."""
    # a float32 comparison in place, then its sum, is an order of magnitude faster than summing booleans
    return torch.gt(values, limits[:, None], out=values).sum(1).to(torch.int64)
