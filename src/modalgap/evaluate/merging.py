"""Split and merge: each form of document is searched alone, and lists merge by reciprocal rank.

A document of rank r in its list scores 1 / (60 + r) in the merged list. Of the documents of one
rank, one per list, half come first on average. Source: Cormack et al. 2009.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modalgap.evaluate.ranks import Floats, Ints, Relevant


def merged_ndcg(
    parts: Sequence[Relevant], ranks: Sequence[Ints], sizes: Sequence[Ints], total: Ints, k: int
) -> Floats:
    """(n,) NDCG@k of the merged list; 0 for a query without a relevant document.

    Args:
        parts: for each list, its relevant documents.
        ranks: for each list, the ranks of its relevant documents.
        sizes: for each list, the number of its documents (n,).
        total: (n,) relevant documents of each query in all lists.
        k: number of results.
    """
    gain = np.zeros(len(total))
    for number, (part, own) in enumerate(zip(parts, ranks, strict=True)):
        rank, asking = own.astype(np.float64), part.queries
        place = rank.copy()
        for other, size in enumerate(sizes):
            if other != number:
                there = size[asking]
                place += np.minimum(there, rank - 1) + 0.5 * (there >= rank)
        gain += np.bincount(asking, np.where(place <= k, 1 / np.log2(place + 1), 0.0), len(total))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    found: Floats = gain / ideal[np.maximum(np.minimum(total, k), 1) - 1]
    return found


def merged_shares(sizes: Sequence[Ints], k: int) -> Floats:
    """(n, F) fraction of the first k of the merged list by list; only lengths matter.

    Args:
        sizes: for each list, the number of its documents (n,).
        k: number of results.
    """
    left = np.stack(sizes, 1).astype(np.float64)
    found = np.zeros_like(left)
    for rank in range(1, k + 1):
        there = (left >= rank).astype(np.float64)
        room = np.maximum(k - found.sum(1), 0) / np.maximum(there.sum(1), 1)
        found += there * np.minimum(room, 1)[:, None]
    fractions: Floats = found / np.maximum(found.sum(1, keepdims=True), 1)
    return fractions
