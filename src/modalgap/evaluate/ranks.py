"""Ranks of the relevant items, computed without sorting the gallery.

For each query and relevant item, the items that score at least as high are counted, one block of
similarities at a time. Irrelevant items with the same score are ranked before the relevant item, so
a model that gives all items the same score retrieves nothing. Scores that differ by at most 3e-7
are treated as equal, because float32 matrix products can give equal rows different scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TIE = 3e-7
FEW = 32  # up to this number of relevant items, counting is faster than sorting


@dataclass(frozen=True, eq=False)
class Relevant:
    """Which items are relevant to each query: ``items[starts[q]:starts[q + 1]]``."""

    starts: Ints
    items: Ints

    @classmethod
    def of(cls, queries: Ints, items: Ints, n: int) -> Relevant:
        """From pairs (query, item), for n queries."""
        order = np.lexsort((items, queries))
        counts = np.bincount(queries, minlength=n)
        return cls(np.concatenate([[0], np.cumsum(counts)]), items[order])

    @classmethod
    def same_class(cls, queries: Ints, gallery: Ints, *, itself: bool) -> Relevant:
        """Items of the class of the query; ``itself`` excludes item q for query q."""
        order = np.argsort(gallery, kind="stable")
        ordered = gallery[order]
        low = np.searchsorted(ordered, queries, "left")
        high = np.searchsorted(ordered, queries, "right")
        counts = high - low
        starts = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        items = order[np.repeat(low, counts) + within]
        found = cls(starts.astype(np.int64), items.astype(np.int64))
        return found.without(np.arange(len(queries))) if itself else found

    @property
    def counts(self) -> Ints:
        """(n,) relevant items of each query."""
        return np.diff(self.starts)

    @property
    def queries(self) -> Ints:
        """(k,) the query of each of ``items``."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    def where(self, kept: NDArray[np.bool_]) -> Relevant:
        """The items for which the mask ``kept`` (k,) is true."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Relevant(before[self.starts], self.items[kept])

    def part(self, a: int, b: int) -> Relevant:
        """The items of queries [a, b)."""
        starts = self.starts[a : b + 1]
        return Relevant(starts - starts[0], self.items[starts[0] : starts[-1]])

    def without(self, own: Ints) -> Relevant:
        """All items except item ``own[q]`` for query q."""
        return self.where(self.items != np.repeat(own, self.counts))


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks, from 1, of the relevant items of each query, ascending.

    Attributes:
        queries: (k,) the queries that have a relevant item.
        starts: (k + 1,) where the ranks of each query begin.
        ranks: the ranks of all queries, one query after the other.
    """

    queries: Ints
    starts: Ints
    ranks: Ints

    @property
    def counts(self) -> Ints:
        """(k,) relevant items of each query."""
        return np.diff(self.starts)

    @property
    def first(self) -> Ints:
        """(k,) rank of the best relevant item."""
        return self.ranks[self.starts[:-1]]

    def within(self, k: int) -> Floats:
        """(k,) 1 if a relevant item is among the first ``k``, else 0: recall at k."""
        return (self.first <= k).astype(np.float64)

    def average_precision(self) -> Floats:
        """(k,) mean over the relevant items of precision at their ranks."""
        return self._sum(self._order / self.ranks) / self.counts

    def precision_at_r(self) -> Floats:
        """(k,) R-precision: precision among the first R items, R the number of relevant items."""
        return self._sum((self.ranks <= self._own(self.counts)).astype(np.float64)) / self.counts

    def average_precision_at_r(self) -> Floats:
        """(k,) mAP@R (Musgrave et al. 2020): average precision over the first R only."""
        among = self.ranks <= self._own(self.counts)
        return self._sum(np.where(among, self._order / self.ranks, 0.0)) / self.counts

    def trapezoid_precision(self) -> Floats:
        """(k,) average precision by the trapezoidal rule, as for revisited Oxford and Paris.

        It averages, over the relevant items, the mean of the precisions just before the item and
        at the item. The precision before rank 1 is 1.
        """
        found, rank = self._order - 1, self.ranks - 1.0
        before = np.where(rank > 0, found / np.maximum(rank, 1), 1.0)
        return self._sum((before + self._order / self.ranks) / 2) / self.counts

    def precision_at(self, k: int) -> Floats:
        """(k,) precision among the first ``k``, or up to the last relevant item if that is less."""
        last = np.minimum(self.ranks[self.starts[1:] - 1], k)
        return self._sum((self.ranks <= self._own(last)).astype(np.float64)) / last

    def ndcg(self, k: int) -> Floats:
        """(k,) gain of the first ``k`` divided by the gain of the best possible order."""
        gain = np.where(self.ranks <= k, 1 / np.log2(self.ranks + 1.0), 0.0)
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
        result: Floats = self._sum(gain) / ideal[np.minimum(self.counts, k) - 1]
        return result

    @property
    def _order(self) -> Floats:
        """1, 2, … within each query."""
        return np.arange(1.0, len(self.ranks) + 1) - self._own(self.starts[:-1])

    def _own(self, values: NDArray[np.int64]) -> Ints:
        return np.repeat(values, self.counts)

    def _sum(self, values: Floats) -> Floats:
        return np.add.reduceat(values, self.starts[:-1]) if len(self.ranks) else values


def block_ranks(
    block: Tensor, relevant: Relevant, ignored: Relevant | None, a: int, b: int
) -> Ints:
    """Ranks of the relevant items of queries [a, b), one query after the other, ascending.

    Args:
        block: (b - a, m) scores, which ``ignored`` overwrites.
        relevant: the relevant items, for all queries.
        ignored: items that are excluded per query; relevant items are not excluded.
        a: the first query of the block.
        b: one past the last query of the block.
    """
    counts = relevant.counts[a:b]
    items, there = padded(relevant.items[relevant.starts[a] : relevant.starts[b]], counts)
    if not there.any():
        return np.empty(0, np.int64)
    limits = block.gather(1, torch.from_numpy(items))
    if ignored is not None:
        out = ignored.part(a, b)
        block[out.queries, out.items] = -torch.inf
        block[np.nonzero(there)[0], items[there]] = limits[torch.from_numpy(there)]
    limits[torch.from_numpy(~there)] = torch.inf
    return final_ranks(at_least(block, limits), limits, there)


def padded(values: NDArray[Any], counts: Ints) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(b, w) the values of each query, then zeros; and where a value is. w is the largest count."""
    there = np.arange(int(counts.max(initial=0))) < counts[:, None]
    table = np.zeros(there.shape, values.dtype)
    table[there] = values
    return table, there


def final_ranks(above: Tensor, limits: Tensor, there: NDArray[np.bool_]) -> Ints:
    """Ranks of relevant items, one query after the other, ascending.

    Args:
        above: (b, w) number of scores that are at least as high as each limit.
        limits: (b, w) scores of the relevant items, then infinity.
        there: (b, w) where an item is.
    """
    counts, width = there.sum(1), there.shape[1]
    # relevant items are ranked in the order of their scores; ties get successive ranks
    few = width <= FEW
    own = (limits[:, None, :] >= limits[:, :, None] - TIE).sum(2) if few else _own(limits)
    own = own - (~torch.from_numpy(there)).sum(1, keepdim=True)  # paddings are infinite
    irrelevant = (above - own).numpy()
    order = torch.argsort(limits, dim=1, descending=True, stable=True).numpy()
    ranked = np.take_along_axis(irrelevant, order, 1)
    padding = width - counts[:, None]
    # paddings, infinite, come first
    column = np.arange(width)
    result: Ints = (ranked + column - padding + 1)[column >= padding]
    return result


def _own(limits: Tensor) -> Tensor:
    """(b, w) for each limit, the number of limits of the same row that are at least as high."""
    ascending = limits.sort(dim=1).values
    below = torch.searchsorted(ascending, limits - TIE, right=False)
    return limits.shape[1] - below


def at_least(block: Tensor, limits: Tensor) -> Tensor:
    """(b, w) for each limit, the number of scores of the same row that are at least as high.

    NumPy compares, counts and sorts one row several times as fast as torch. The threads of torch
    give no speedup here, and wait for each other if the machine is busy.
    """
    scores, least = block.numpy(), (limits - TIE).numpy()
    found = np.empty(least.shape, np.int64)
    flags = np.empty(scores.shape[1], bool)
    for row, (values, own) in enumerate(zip(scores, least, strict=True)):
        if len(own) > FEW:
            found[row] = len(values) - np.searchsorted(np.sort(values), own)
        else:
            for k, limit in enumerate(own):
                found[row, k] = np.count_nonzero(np.greater_equal(values, limit, out=flags))
    return torch.from_numpy(found)
