"""What a store has to do here: keep rows under several indexes, and search one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Found = tuple[NDArray[Any], NDArray[Any]]  # (k,) numbers of rows, and their cosines as estimated


class Gallery(Protocol):
    """Rows that one store keeps."""

    def search(self, index: str, query: Rows, k: int) -> Found:
        """The ``k`` rows that ``index`` ranks first for ``query`` (d,), the best first."""

    def size(self, index: str) -> int:
        """Bytes of the numbers that a search of ``index`` reads, before any rescoring."""

    def close(self) -> None:
        """Remove the rows."""


Open = Callable[[Rows, Path], Gallery]  # of unit rows (n, d), in an empty folder


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
