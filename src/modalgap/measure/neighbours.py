"""Nearest neighbours within and across modalities, computed over all pairs of rows in blocks.

At most one block of similarities is in memory at a time; see ``linalg.blocks``. Only the k nearest
neighbours are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from modalgap.linalg import blocks
from modalgap.progress import progress


def within(rows: Tensor, k: int) -> Tensor:
    """Indices (n, k) of the k nearest other rows of each row of rows (n, d), nearest first."""
    return first(rows, rows, k)[0]


def first(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Indices and cosines (n, k) of the k rows of the gallery (m, d) nearest to each query (n, d).

    Nearest first. If the gallery is the queries, a row itself does not count.
    """
    index = torch.empty(len(queries), k, dtype=torch.int64)
    cosine = torch.empty(len(queries), k)
    swept = _sweep(queries) if gallery is queries else _across(queries, gallery)
    for a, b, block in swept:
        cosine[a:b], index[a:b] = block.topk(k, dim=1)
    return index, cosine


def within_and_above(rows: Tensor, k: int, best: Tensor) -> tuple[Tensor, Tensor]:
    """``within``, and for each row how many other rows have a cosine above ``best``: (n,)."""
    top = torch.empty(len(rows), k, dtype=torch.int64)
    above = torch.empty(len(rows), dtype=torch.int64)
    for a, b, cosine in _sweep(rows):
        top[a:b] = cosine.topk(k, dim=1).indices
        above[a:b] = _count_above(cosine, best[a:b])
    return top, above


def best_across(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Largest cosine of each row of x (n, d) with rows of y (m, d), and the reverse: (n,), (m,)."""
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


def others_among(x: Tensor, y: Tensor, k: int) -> Tensor:
    """(n,) how many of the k nearest items of each row of x (n, d) are rows of y (m, d).

    The others are rows of x. A row itself does not count; k is below n + m.
    """
    found = torch.empty(len(x), dtype=torch.int64)
    inside, across = min(k, len(x) - 1), min(k, len(y))
    for a, b, cosine in _sweep(x):
        own = cosine.topk(inside, dim=1).values
        other = torch.cat(
            [(x[p:q] @ y.T).topk(across, dim=1).values for p, q in _spans(a, b, len(y))]
        )
        first = torch.cat([own, other], 1).topk(k, dim=1).indices
        found[a:b] = (first >= inside).sum(1)
    return found


def nearest(x: Tensor, y: Tensor) -> Tensor:
    """(n,) index of the row of y nearest to each row of x."""
    return torch.cat([(x[a:b] @ y.T).argmax(1) for a, b in blocks(len(x), len(y))])


def _sweep(rows: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks (start, stop, cosines (stop − start, n)), a row's cosine to itself set to −∞."""
    n = len(rows)
    spans = list(blocks(n, n))
    product = torch.empty(spans[0][1], n)
    with progress("neighbours", n) as advance:
        for a, b in spans:
            cosine = torch.mm(rows[a:b], rows.T, out=product[: b - a])
            cosine[torch.arange(b - a), torch.arange(a, b)] = -torch.inf
            yield a, b, cosine
            advance(b - a)


def _across(queries: Tensor, gallery: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks (start, stop, cosines (stop − start, m))."""
    for a, b in blocks(len(queries), len(gallery)):
        yield a, b, queries[a:b] @ gallery.T


def _spans(start: int, stop: int, columns: int) -> Iterator[tuple[int, int]]:
    """The rows start … stop in blocks for as many columns."""
    for a, b in blocks(stop - start, columns):
        yield start + a, start + b


def _count_above(values: Tensor, limits: Tensor) -> Tensor:
    """(b,) number of entries in each row of values (b, n) above its limit; overwrites values."""
    # comparing into float32 and summing is ten times as fast as summing booleans
    return torch.gt(values, limits[:, None], out=values).sum(1).to(torch.int64)
