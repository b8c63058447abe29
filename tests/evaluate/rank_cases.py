"""Scores that the tests of ranks share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Relevant

Floats = NDArray[np.float64]
Lists = list[list[int]]


def whole(random: np.random.Generator, n: int, d: int, top: int = 2) -> Tensor:
    """Rows of small integers: products are exact, and many are equal."""
    return torch.from_numpy(random.integers(-top, top + 1, (n, d)).astype(np.float32))


def real(random: np.random.Generator, n: int, d: int = 16) -> Tensor:
    rows = torch.from_numpy(random.normal(size=(n, d)).astype(np.float32))
    return torch.nn.functional.normalize(rows, dim=1)


def some_of(random: np.random.Generator, n: int, m: int, most: int, least: int = 0) -> Lists:
    """Relevant items of each query."""
    return [
        sorted(random.choice(m, random.integers(least, most + 1), replace=False).tolist())
        for _ in range(n)
    ]


def relevant_of(lists: Sequence[Sequence[int]]) -> Relevant:
    queries = [q for q, items in enumerate(lists) for _ in items]
    items = [item for items in lists for item in items]
    return Relevant.of(np.array(queries, np.int64), np.array(items, np.int64), len(lists))


def products(queries: Tensor, gallery: Tensor) -> Floats:
    return np.asarray(queries.double().numpy() @ gallery.double().numpy().T)


class Queries:
    """Queries, the scores of all items, and which are relevant; no two scores are equal."""

    def __init__(self, n: int = 40, m: int = 120, most: int = 15) -> None:
        random = np.random.default_rng(1)
        queries, gallery = real(random, n), real(random, m)
        self.lists = some_of(random, n, m, most, least=1)
        self.scores = products(queries, gallery)
        self.truth = np.zeros((n, m), np.int64)
        for q, items in enumerate(self.lists):
            self.truth[q, items] = 1
        self.found = ranks(queries, gallery, relevant_of(self.lists))
        order = np.argsort(-self.scores, axis=1)
        self.sorted = np.take_along_axis(self.truth, order, 1)  # relevance in order of score
