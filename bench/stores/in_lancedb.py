"""LanceDB, in a folder. One partition, so that only the quantisation loses neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfRq, IvfSq

from bench.stores.base import Found, Rows, folder_size

INDEXES = ("flat", "IVF_SQ", "IVF_RQ", "IVF_RQ, rescored")


class Stored:
    """One table per index over the same rows."""

    def __init__(self, rows: Rows, folder: Path) -> None:
        self.folder = folder
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        content = pa.table({"row": np.arange(len(rows)), "vector": vectors})
        database = lancedb.connect(folder)
        self.tables: dict[str, Any] = {}
        for name, kind in (("flat", None), ("IVF_SQ", IvfSq), ("IVF_RQ", IvfRq)):
            table = database.create_table(name, content)
            if kind is not None:
                table.create_index("vector", config=kind(distance_type="cosine", num_partitions=1))
            self.tables[name] = table

    def search(self, index: str, query: Rows, k: int) -> Found:
        bare, _, rescored = index.partition(", ")
        asked = self.tables[bare].search(query).distance_type("cosine").nprobes(1).limit(k)
        if rescored:
            asked = asked.refine_factor(5)
        found = asked.select(["row", "_distance"]).to_arrow()
        # an index estimates the squared distance of unit vectors, 2 (1 - cosine): lancedb#3530
        share = 2 if bare != "flat" and not rescored else 1
        return found["row"].to_numpy(), 1 - found["_distance"].to_numpy() / share

    def size(self, index: str) -> int:
        table = self.folder / f"{index.partition(', ')[0]}.lance"
        return folder_size(table / ("data" if index == "flat" else "_indices"))

    def close(self) -> None:
        self.tables.clear()
