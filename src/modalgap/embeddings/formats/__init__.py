"""File formats, one per file: each reads a path into ``Contents``; three of them also write.

``keys`` has the keys and metadata that ``.npz``, ``.safetensors`` and ``.parquet`` share, ``flat``
the arrays of the first two. ``layout`` finds the keys of the present version in a file, ``earlier``
those of earlier versions and of other programs. ``find`` finds the files, ``shards`` joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from modalgap.embeddings.formats import npy, npz, safetensors
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.keys import Data
from modalgap.remote import Location


def _read_parquet(path: Location) -> Contents:
    from modalgap.embeddings.formats import parquet  # imports pyarrow, which few files need

    return parquet.read(path)


def _write_parquet(data: Data, file: IO[bytes]) -> Iterator[int]:
    from modalgap.embeddings.formats import parquet

    return parquet.write(data, file)


READERS: dict[str, Callable[[Location], Contents]] = {
    ".npy": npy.read,
    ".npz": npz.read,
    ".parquet": _read_parquet,
    ".safetensors": safetensors.read,
}
WRITERS: dict[str, Callable[[Data, IO[bytes]], Iterator[int]]] = {
    ".npz": npz.write,
    ".parquet": _write_parquet,
    ".safetensors": safetensors.write,
}

__all__ = ["READERS", "WRITERS", "Contents"]
