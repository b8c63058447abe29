"""PostgreSQL with pgvector: one table with two HNSW indexes."""

from __future__ import annotations

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

from bench.stores.base import Found, Rows

COSINE = "SELECT id, 1 - (v <=> %(q)s) FROM {rows} ORDER BY v <=> %(q)s LIMIT %(k)s"
SEARCH = {
    "exact": COSINE.format(rows="modalgap_bench"),
    "HNSW halfvec": """SELECT id, 1 - (v::halfvec({d}) <=> %(q)s::halfvec({d})) FROM modalgap_bench
        ORDER BY v::halfvec({d}) <=> %(q)s::halfvec({d}) LIMIT %(k)s""",
    "HNSW bits": """SELECT id, cos(pi() * (b <~> binary_quantize(%(q)s)) / {d}) FROM
        (SELECT id, binary_quantize(v)::bit({d}) AS b FROM modalgap_bench
        ORDER BY binary_quantize(v)::bit({d}) <~> binary_quantize(%(q)s) LIMIT %(k)s) AS near""",
    "HNSW bits, rescored": COSINE.format(
        rows="""(SELECT id, v FROM modalgap_bench
        ORDER BY binary_quantize(v)::bit({d}) <~> binary_quantize(%(q)s) LIMIT 50) AS near"""
    ),
}
INDEXES = tuple(SEARCH)
HNSW = {
    "HNSW halfvec": "(v::halfvec({d})) halfvec_cosine_ops",
    "HNSW bits": "(binary_quantize(v)::bit({d})) bit_hamming_ops",
}


class Stored:
    """A table, which is dropped at the end."""

    def __init__(self, rows: Rows, server: str) -> None:
        self.d = rows.shape[1]
        self.db = psycopg.connect(server, autocommit=True)
        self.db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self.db)
        self.db.execute("DROP TABLE IF EXISTS modalgap_bench")
        self.db.execute(
            f"CREATE UNLOGGED TABLE modalgap_bench (id int PRIMARY KEY, v vector({self.d}))"
        )
        self.db.execute("ALTER TABLE modalgap_bench ALTER v SET STORAGE plain")
        with self.db.cursor().copy("COPY modalgap_bench FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "vector"])
            for i, row in enumerate(rows):
                copy.write_row((i, row))
        self.db.execute("SET maintenance_work_mem = '1GB'; SET hnsw.ef_search = 100")
        self.db.execute("SET enable_seqscan = off")  # else few rows are searched exactly
        for name, what in HNSW.items():
            called = name.replace(" ", "_")
            self.db.execute(
                f"CREATE INDEX {called} ON modalgap_bench USING hnsw ({what.format(d=self.d)})"
            )
        self.db.execute("ANALYZE modalgap_bench")

    def search(self, index: str, query: Rows, k: int) -> Found:
        found = self.db.execute(SEARCH[index].format(d=self.d), {"q": query, "k": k}).fetchall()
        numbers, cosines = zip(*found, strict=True)
        return np.array(numbers), np.array(cosines)

    def size(self, index: str) -> int:
        name = index.removesuffix(", rescored").replace(" ", "_").lower()
        asked = (
            "pg_table_size('modalgap_bench')" if index == "exact" else f"pg_relation_size('{name}')"
        )
        row = self.db.execute(f"SELECT {asked}").fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self.db.execute("DROP TABLE modalgap_bench")
        self.db.close()


def version(server: str) -> str:
    """The versions of the extension and of the server."""
    with psycopg.connect(server) as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        asked = "SELECT extversion, current_setting('server_version') FROM pg_extension"
        row = db.execute(f"{asked} WHERE extname = 'vector'").fetchone() or ("", "")
    return f"pgvector {row[0]} in PostgreSQL {row[1]}"
