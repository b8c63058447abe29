"""Vector stores, on 500 pairs of COCO and on made-up rows: two Markdown tables.

python -m bench.stores --data ../shared/data/clip_coco500.npy --postgres 'dbname=test'
python -m bench.stores --only faiss,sqlite-vec --rows 10000
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from modalgap.waiting import wait_passively

wait_passively()  # before torch is imported

from bench.stores.base import Open  # noqa: E402
from bench.stores.data import Data, coco, made  # noqa: E402
from bench.stores.experiment import lines, markdown  # noqa: E402

STORES = {  # name to its module, and the package of which the version is printed
    "FAISS": ("faiss", "faiss-cpu"),
    "LanceDB": ("lancedb", "lancedb"),
    "pgvector": ("postgres", "pgvector"),
    "sqlite-vec": ("sqlite", "sqlite-vec"),
    "Milvus Lite": ("milvus", "milvus-lite"),
}
HEAD = (
    "store | index | images: raw | closed | neighbours: raw | closed | mixed: raw | closed"
    " | standardised | MB | ms"
)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.stores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="clip_coco500.npy")
    parser.add_argument("--rows", type=int, default=100_000, help="made-up rows; 0: none")
    parser.add_argument("--queries", type=int, default=300, help="of each modality, made-up rows")
    parser.add_argument("--postgres", help="connection string of a server with pgvector")
    parser.add_argument("--only", help="stores, separated by commas")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(STORES)
    known = {name.lower(): name for name in STORES}
    if unknown := [name for name in names if name.lower() not in known]:
        print(f"unknown store {unknown[0]!r}; known: {', '.join(STORES)}", file=sys.stderr)
        return 2
    names = [known[name.lower()] for name in names]
    if "pgvector" in names and not given.postgres:
        print("pgvector is left out: it needs --postgres", file=sys.stderr)
        names.remove("pgvector")
    print(f"{', '.join(version(name, given.postgres) for name in names)}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    sets: list[Callable[[], list[Data]]] = []
    if given.data:
        sets.append(lambda: coco(given.data))
    if given.rows:
        sets.append(lambda: made(given.rows, given.queries))
    for each in sets:
        divisions = each()
        print(f"\n{divisions[0].name}\n\n| {HEAD} |\n|{'---|' * (HEAD.count('|') + 1)}", flush=True)
        for name in names:
            open_, indexes = store(name, given.postgres)
            tables = [lines(data, open_, indexes) for data in divisions]
            for line in markdown(name, tables):
                print(line, flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f}")
    return 0


def version(name: str, server: str | None) -> str:
    """The store and its version: that of the server for pgvector, else of the package."""
    module, package = STORES[name]
    if name == "pgvector":
        return str(import_module(f"bench.stores.in_{module}").version(server))
    return f"{name} {metadata.version(package)}"


def store(name: str, server: str | None) -> tuple[Open, tuple[str, ...]]:
    """How to open a gallery in a store, and the indexes that it has."""
    module: Any = import_module(f"bench.stores.in_{STORES[name][0]}")
    place = server if name == "pgvector" else None
    return lambda rows, folder: module.Stored(rows, place or folder), module.INDEXES


if __name__ == "__main__":
    sys.exit(main())
