"""sqlite-vec, in a file: always compares all rows; 8-bit numbers and bits make that faster."""

from __future__ import annotations

from pathlib import Path

import apsw
import numpy as np
import sqlite_vec

from bench.stores.base import Found, Rows

SEARCH = {
    "float32": "SELECT id, 1 - distance FROM items WHERE v MATCH :q AND k = :k",
    "int8": """SELECT id, 1 - distance FROM codes
        WHERE bytes MATCH vec_quantize_int8(:q, 'unit') AND k = :k""",
    "bits": """SELECT id, cos(pi() * distance / :d) FROM codes
        WHERE bits MATCH vec_quantize_binary(:q) AND k = :k""",
    "bits, rescored": """SELECT id, 1 - vec_distance_cosine(v, :q) AS cosine FROM items
        WHERE id IN (SELECT id FROM codes WHERE bits MATCH vec_quantize_binary(:q) AND k = 50)
        ORDER BY cosine DESC LIMIT :k""",
}
INDEXES = tuple(SEARCH)
CHUNKS = {  # tables in which sqlite-vec keeps the vectors
    "float32": "items_vector_chunks00",
    "bits": "codes_vector_chunks00",
    "int8": "codes_vector_chunks01",
}


class Stored:
    """Two virtual tables: the vectors, and their codes."""

    def __init__(self, rows: Rows, folder: Path) -> None:
        self.d = d = rows.shape[1]
        self.db = apsw.Connection(str(folder / "vectors.sqlite"))
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.execute(
            "CREATE VIRTUAL TABLE items USING vec0("
            f"id INTEGER PRIMARY KEY, v FLOAT[{d}] distance_metric=cosine);"
            "CREATE VIRTUAL TABLE codes USING vec0("
            f"id INTEGER PRIMARY KEY, bits BIT[{d}], bytes INT8[{d}] distance_metric=cosine)"
        )
        with self.db:
            self.db.executemany(
                "INSERT INTO items VALUES (?, ?)",
                ((i, row.tobytes()) for i, row in enumerate(rows)),
            )
            self.db.execute(
                "INSERT INTO codes SELECT id, vec_quantize_binary(v), vec_quantize_int8(v, 'unit')"
                " FROM items"
            )

    def search(self, index: str, query: Rows, k: int) -> Found:
        given = {"q": query.tobytes(), "k": k, "d": self.d}
        found = self.db.execute(SEARCH[index], given).fetchall()
        numbers, cosines = zip(*found, strict=True)
        return np.array(numbers), np.array(cosines)

    def size(self, index: str) -> int:
        chunks = CHUNKS[index.removesuffix(", rescored")]
        ((size,),) = self.db.execute(f"SELECT sum(length(vectors)) FROM {chunks}").fetchall()
        assert isinstance(size, int)
        return size

    def close(self) -> None:
        self.db.close()
