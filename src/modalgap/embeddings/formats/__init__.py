"""File formats, one a file: each reads a path into ``Contents``; those that can, write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from modalgap.embeddings.formats import npy, npz, parquet, safetensors
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.pair import Embeddings, Pair

READERS: dict[str, Callable[[Path], Contents]] = {
    ".npy": npy.read,
    ".npz": npz.read,
    ".parquet": parquet.read,
    ".safetensors": safetensors.read,
}
WRITERS: dict[str, Callable[[Pair | Embeddings, IO[bytes]], Iterator[int]]] = {
    ".npz": npz.write,
    ".parquet": parquet.write,
    ".safetensors": safetensors.write,
}

__all__ = ["READERS", "WRITERS", "Contents"]
