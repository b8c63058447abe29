"""Arrays on their way out: parts of a few MB, in the byte order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings.rows import CHUNK, Rows

LENGTH = 2**20  # elements of an array that are written at a time


@dataclass(frozen=True, eq=False)
class Stream:
    """An array that is made part by part while it is written."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Callable[[], Iterator[NDArray[Any]]]


def arrays(value: Rows | NDArray[Any] | Stream) -> Iterator[NDArray[Any]]:
    """The little-endian arrays that make up ``value``; bfloat16 as the bits of int16."""
    if isinstance(value, Stream):
        yield from map(little, value.parts())
        return
    if isinstance(value, np.ndarray):
        for start in range(0, max(len(value), 1), LENGTH):
            yield little(value[start : start + LENGTH])
        return
    n = value.shape[0]
    for start in range(0, n, CHUNK):
        rows = value.read(start, min(n, start + CHUNK)).contiguous()
        yield little((rows.view(torch.int16) if rows.dtype is torch.bfloat16 else rows).numpy())


def little(array: NDArray[Any]) -> NDArray[Any]:
    """Contiguous and little-endian, whatever the machine."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
