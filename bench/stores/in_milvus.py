"""Milvus Lite, in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient

from bench.stores.base import Found, Rows

INDEXES = ("FLAT", "HNSW_SQ", "IVF_SQ8")
DEFAULT_LISTS = 128  # of IVF_SQ8; all are searched, so that only the quantisation loses neighbours


class Stored:
    """One collection, whose index is replaced when another one is asked for."""

    def __init__(self, rows: Rows, folder: Path) -> None:
        self.path = folder / "vectors.db"
        self.client = MilvusClient(str(self.path))
        self.index = ""
        schema = self.client.create_schema()
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=rows.shape[1])
        self.client.create_collection("items", schema=schema)
        for start in range(0, len(rows), 5_000):
            block = enumerate(rows[start : start + 5_000], start)
            self.client.insert("items", [{"row": i, "vector": row} for i, row in block])
        self.client.flush("items")

    def search(self, index: str, query: Rows, k: int) -> Found:
        self._use(index)
        params = {"params": {"ef": 100, "nprobe": DEFAULT_LISTS}}
        (found,) = self.client.search("items", [query], limit=k, search_params=params)
        numbers = [each["row"] for each in found]
        return np.array(numbers), np.array([each["distance"] for each in found])

    def size(self, index: str) -> int:
        self._use(index)
        return sum(path.stat().st_size for path in self.path.rglob("*.idx"))

    def close(self) -> None:
        self.client.close()
        server_manager_instance.release_server(str(self.path))

    def _use(self, index: str) -> None:
        if index == self.index:
            return
        self.client.release_collection("items")
        if self.index:
            self.client.drop_index("items", "vector")
        wanted = self.client.prepare_index_params()
        wanted.add_index("vector", index, metric_type="COSINE")
        self.client.create_index("items", wanted)
        self.client.load_collection("items")  # builds the index
        self.index = index
