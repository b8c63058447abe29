"""FAISS, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss

from bench.stores.base import Found, Rows

FACTORIES = {  # name in the table to factory string
    "Flat": "Flat",
    "HNSW": "HNSW32",
    "SQ8": "SQ8",
    "RaBitQ": "RaBitQ",
    "RaBitQ, rescored": "RaBitQ,RFlat",
}
INDEXES = tuple(FACTORIES)


class Stored:
    """One index per kind over the same rows."""

    def __init__(self, rows: Rows, _: Path) -> None:
        self.indexes: dict[str, Any] = {}
        for name, factory in FACTORIES.items():
            index: Any = faiss.index_factory(rows.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            index.train(rows)
            index.add(rows)
            if "RFlat" in factory:
                index.k_factor = 5  # of 10 results, 50 are rescored
            if "HNSW" in factory:
                inner: Any = faiss.downcast_index(index)
                inner.hnsw.efSearch = 100
            self.indexes[name] = index

    def search(self, index: str, query: Rows, k: int) -> Found:
        scores, found = self.indexes[index].search(query[None], k)
        return found[0], scores[0]

    def size(self, index: str) -> int:
        index = index.removesuffix(", rescored")
        return len(faiss.serialize_index(self.indexes[index]))

    def close(self) -> None:
        self.indexes.clear()
