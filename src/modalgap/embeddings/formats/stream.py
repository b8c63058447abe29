"""Rows on their way out: arrays of a few MB, in the byte order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings.rows import CHUNK, Rows


def arrays(value: Rows | NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The little-endian arrays that make up ``value``; bfloat16 as the bits of int16."""
    if isinstance(value, np.ndarray):
        yield little(value)
        return
    n = value.shape[0]
    for start in range(0, n, CHUNK):
        rows = value.read(start, min(n, start + CHUNK)).contiguous()
        yield little((rows.view(torch.int16) if rows.dtype is torch.bfloat16 else rows).numpy())


def little(array: NDArray[Any]) -> NDArray[Any]:
    """Contiguous and little-endian, whatever the machine."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
