"""Distances between two samples: sums of a function of the cosine over all pairs, in blocks.

The sums are kept for each pair of jackknife groups, so that every replicate without a group is
exact, and for random divisions of the pooled rows, which show what the number is without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalgap.embeddings.moments import GROUPS
from modalgap.linalg import blocks
from modalgap.measure.base import Evidence
from modalgap.measure.intervals import Floats
from modalgap.progress import progress

SHUFFLES = 20
Function = Callable[[Tensor], Tensor]  # of cosines, in place


@dataclass(frozen=True)
class Contrast:
    """mean f over image pairs + mean f over text pairs − 2 · mean f over image-text pairs.

    Attributes:
        values: (1 + G,) of all rows, then without each jackknife group in turn.
        shuffled: (SHUFFLES,) the same for random divisions of the pooled rows.
    """

    values: Floats
    shuffled: Floats


def rows_of(evidence: Evidence, max_rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most ``max_rows`` rows of each modality."""
    x, y = (side.embeddings.take(side.sample(max_rows, seed)) for side in evidence.sides)
    return x, y


def contrast(
    evidence: Evidence, function: Function, same: float, *, max_rows: int, seed: int
) -> Contrast:
    """Compare the distributions of the modalities by a function of the cosine.

    Args:
        evidence: the pair.
        function: of a block of cosines, which it overwrites.
        same: its value for a row and itself.
        max_rows: rows of each modality.
        seed: of their choice and of the random divisions.
    """
    sides = rows_of(evidence, max_rows, seed)
    codes = _groups(evidence, max_rows, seed)
    groups = 1 + max(int(each.max()) for each in codes)
    n, m = map(len, sides)
    random = np.random.default_rng(seed)
    weights = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    drawn = torch.from_numpy(np.stack([random.permutation(weights) for _ in range(SHUFFLES)], 1))
    of = (drawn[:n].float(), drawn[n:].float())
    sums: dict[tuple[int, int], Floats] = {}
    shuffled = torch.zeros(SHUFFLES, dtype=torch.float64)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        one_hot = torch.nn.functional.one_hot(codes[j], groups).float()
        right = torch.cat([one_hot, of[j]], 1)
        total = torch.zeros(groups, groups, dtype=torch.float64)
        for a, b, block in _sweep(sides[i], sides[j], function, same if i == j else None):
            found = (block @ right).double()
            total.index_add_(0, codes[i][a:b], found[:, :groups])
            shuffled += (1 + (i != j)) * (of[i][a:b] * found[:, groups:]).sum(0)
        sums[i, j] = total.numpy()
    counts = [np.bincount(each.numpy(), minlength=groups).astype(np.float64) for each in codes]
    x, y = (_without_each(each) for each in counts)
    values = (
        _pairs_without_each(sums[0, 0]) / x**2
        + _pairs_without_each(sums[1, 1]) / y**2
        - 2 * _pairs_without_each(sums[0, 1]) / (x * y)
    )
    return Contrast(
        values[: groups if evidence.pair.labels is not None else None], shuffled.numpy()
    )


def _groups(evidence: Evidence, max_rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Jackknife group of each row; class prompts are in a last group that is never deleted."""
    image, text = (side.clusters[side.sample(max_rows, seed)] for side in evidence.sides)
    if evidence.pair.labels is not None:
        groups = min(GROUPS, len(image))
        return image % groups, torch.full((len(text),), groups)
    clusters, found = np.unique(torch.cat([image, text]).numpy(), return_inverse=True)
    codes = torch.from_numpy(found) % min(GROUPS, len(clusters))
    return codes[: len(image)], codes[len(image) :]


def _sweep(
    x: Tensor, y: Tensor, function: Function, diagonal: float | None
) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks (start, stop, values of the function); with ``diagonal`` x and y are the same rows."""
    spans = list(blocks(len(x), len(y)))
    product = torch.empty(spans[0][1], len(y))
    with progress("two samples", len(x)) as advance:
        for a, b in spans:
            block = function(torch.mm(x[a:b], y.T, out=product[: b - a]))
            if diagonal is not None:
                block[torch.arange(b - a), torch.arange(a, b)] = diagonal
            yield a, b, block
            advance(b - a)


def _without_each(counts: Floats) -> Floats:
    total = counts.sum()
    return np.concatenate([[total], total - counts])


def _pairs_without_each(sums: Floats) -> Floats:
    """Totals of sums (G, G) over pairs of groups: of all, then without each group."""
    total = sums.sum()
    return np.concatenate([[total], total - sums.sum(0) - sums.sum(1) + np.diagonal(sums)])
