"""Mapped: a large array of numbers that stays in its file, as a NumPy array."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.errors import FileError
from modalgap.files import stamp as stamp_of
from modalgap.files import unchanged
from modalgap.remote import Stamp


class Mapped(np.memmap[Any, Any]):
    """An array whose pages are read when they are used. Changes to it stay in memory.

    Pickling stores path and offset, not the values. Unpickling refuses a file that has changed.
    The file must not become shorter while the array is in use.
    """

    stamp: Stamp

    def __reduce__(self) -> str | tuple[Any, ...]:
        if not isinstance(self.base, mmap.mmap):  # a slice of a mapped array, or computed from one
            return np.asarray(self).__reduce__()
        place = (Path(str(self.filename)), self.dtype, self.offset, self.shape)
        return (mapped, (*place, self.stamp))


def mapped(
    path: Path,
    kind: np.dtype[Any],
    offset: int,
    shape: tuple[int, ...],
    stamp: Stamp | None = None,
) -> Mapped:
    """The array at an offset in a file.

    Args:
        path: the file.
        kind: dtype of the array.
        offset: its first byte.
        shape: its shape, which is not empty.
        stamp: of the file, if it must be unchanged since then.

    Raises:
        FileError: the file has changed, or cannot be mapped.
    """
    if stamp is None:
        stamp = stamp_of(path)
    unchanged(path, stamp)
    try:
        # "c": writable, as torch wants it, but never written to the file
        found = Mapped(path, kind, "c", offset, shape)
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be mapped ({error})") from error
    found.stamp = stamp
    return found
