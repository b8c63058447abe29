"""Perturbations of stored vectors: noise, rounding to few bits, compressed indexes.

Each function takes queries (n, d) and stored rows (m, d), and returns the answer to each query: the
item with the highest score, or the first of several such items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.errors import NotApplicable
from modalgap.extras import import_extra
from modalgap.linalg import blocks

Answers = NDArray[np.int64]
Find = Callable[[Tensor, Tensor, int], list[Answers]]
REPEATS = 5  # draws of the noise


def exact(queries: Tensor, stored: Tensor) -> Answers:
    """The nearest stored row of each query."""
    found = [(queries[a:b] @ stored.T).argmax(1) for a, b in blocks(len(queries), len(stored))]
    return torch.cat(found).numpy()


def gaussian(sigma: float, on: str) -> Find:
    """Noise N(0, σ² I) on "index", "queries" or "both"; ``REPEATS`` draws."""

    def find(queries: Tensor, stored: Tensor, seed: int) -> list[Answers]:
        random = np.random.default_rng(seed)

        def noisy(rows: Tensor) -> Tensor:
            drawn = random.standard_normal(rows.shape, np.float32)
            return rows + torch.from_numpy(drawn * np.float32(sigma))

        return [
            exact(
                noisy(queries) if on in ("queries", "both") else queries,
                noisy(stored) if on in ("index", "both") else stored,
            )
            for _ in range(REPEATS)
        ]

    return find


def bins(count: int) -> Find:
    """Stored numbers rounded to the centres of ``count`` equal bins over their whole range."""

    def find(queries: Tensor, stored: Tensor, _seed: int) -> list[Answers]:
        low, high = float(stored.min()), float(stored.max())
        width = max(high - low, 1e-12) / count
        number = ((stored - low) / width).floor().clamp(0, count - 1)
        return [exact(queries, low + (number + 0.5) * width)]

    return find


def signed(bits: int) -> Find:
    """Stored numbers as signed integers of ``bits`` bits, one scale for all: int8, int4."""

    def find(queries: Tensor, stored: Tensor, _seed: int) -> list[Answers]:
        top = 2 ** (bits - 1) - 1
        scale = float(stored.abs().max()) / top
        return [exact(queries, (stored / scale).round().clamp(-top, top) * scale)]

    return find


def binary(queries: Tensor, stored: Tensor, _seed: int) -> list[Answers]:
    """Signs of queries and of stored rows only: Hamming distance."""
    return [exact(_signs(queries), _signs(stored))]


def _signs(rows: Tensor) -> Tensor:
    return torch.where(rows > 0, 1.0, -1.0)


def faiss_index(spec: str) -> Find:
    """An index of FAISS with inner product; ``spec`` is one of the names in ``_make``."""

    def find(queries: Tensor, stored: Tensor, seed: int) -> list[Answers]:
        faiss = load_faiss()
        n, d = stored.shape
        index = _make(faiss, spec, d, n, seed)
        rows = np.ascontiguousarray(stored.numpy())
        index.train(rows)
        index.add(rows)
        _, found = index.search(np.ascontiguousarray(queries.numpy()), 1)
        return [found[:, 0].astype(np.int64)]  # -1 if nothing is found: a wrong answer

    return find


def load_faiss() -> Any:
    """The faiss module.

    Raises:
        NotApplicable: it is not installed.
    """
    return import_extra("faiss", "search", "quantising", NotApplicable)


def _make(faiss: Any, spec: str, d: int, n: int, seed: int) -> Any:
    inner = faiss.METRIC_INNER_PRODUCT
    if spec == "sq4_uniform":
        return faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_4bit_uniform, inner)
    parts = next(m for m in range(min(64, d), 0, -1) if d % m == 0)
    lists = max(1, min(64, n // 32))
    factory = {
        "sq8": "SQ8",
        "sq4": "SQ4",
        "pq4": f"PQ{parts}x4",
        "ivf_pq4": f"IVF{lists},PQ{parts}x4",
        "hnsw": "HNSW32",
        "rabitq": "RaBitQ",
    }[spec]
    index = faiss.index_factory(d, factory, inner)
    for each in _clusterings(faiss, index):
        each.seed = (1234 + seed) % 2**31  # 1234 is the default of FAISS
        each.min_points_per_centroid = 1  # no warning about few rows
    if hasattr(index, "do_polysemous_training"):
        index.do_polysemous_training = False  # takes minutes; only for Hamming filters
    if spec == "ivf_pq4":
        index.nprobe = max(1, lists // 4)
    return index


def _clusterings(faiss: Any, index: Any) -> list[Any]:
    result = []
    index = faiss.downcast_index(index)
    for owner in (index, getattr(index, "pq", None)):
        parameters = getattr(owner, "cp", None)
        if parameters is not None:
            result.append(parameters)
    return result
