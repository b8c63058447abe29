"""Rows: an (n, d) array that may lie in memory, in a file, or in many files.

Nothing here checks values; ``Embeddings`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap import ranges
from modalgap.errors import FileError, InputError
from modalgap.files import stamp, unchanged
from modalgap.remote import Location, Remote, Stamp

CHUNK = 4096  # rows read at a time: small chunks cost time, large ones do not fit in the cache
FLOATS = (torch.float16, torch.float32, torch.float64, torch.bfloat16)
_NUMPY_NAMES = {"f2": torch.float16, "f4": torch.float32, "f8": torch.float64}


@runtime_checkable
class Rows(Protocol):
    """What ``Embeddings`` needs of a source of rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype as stored."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether reading costs no input or output."""
        ...

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as stored, (stop - start, d)."""
        ...

    def take(self, index: Tensor) -> Tensor:
        """Rows at ``index`` (k,) as stored, (k, d)."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryRows:
    """Rows of a tensor."""

    tensor: Tensor
    in_memory: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        return (self.tensor.shape[0], self.tensor.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    def read(self, start: int, stop: int) -> Tensor:
        return self.tensor[start:stop]

    def take(self, index: Tensor) -> Tensor:
        return self.tensor[index]


@dataclass(frozen=True, eq=False)
class FileRows:
    """Rows of a C-ordered array at an offset in a file.

    A pass over the rows reads them rather than mapping them, so that resident memory stays at one
    chunk however large the file is; scattered rows go through a memory map. Rows of a remote file
    are read in ranges.
    """

    path: Location
    offset: int
    kind: np.dtype[Any]  # numpy's, with byte order; bfloat16 is read as uint16
    shape: tuple[int, int]
    dtype: torch.dtype
    in_memory: bool = False
    stamp: Stamp = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stamp", stamp(self.path))

    def read(self, start: int, stop: int) -> Tensor:
        d = self.shape[1]
        count = (stop - start) * d
        if isinstance(self.path, Remote):
            flat = np.empty(count, self.kind)
            begin = self.offset + start * d * self.kind.itemsize
            span = (begin, begin + flat.nbytes)
            ranges.read(self.path, self.stamp, span, flat.view(np.uint8).data)
            return self._tensor(flat.reshape(stop - start, d))
        unchanged(self.path, self.stamp)
        try:
            flat = np.fromfile(
                self.path, self.kind, count, offset=self.offset + start * d * self.kind.itemsize
            )
        except OSError as error:
            raise FileError(f"{self.path}: cannot be read ({error.strerror})") from error
        if flat.size != count:
            raise FileError(f"{self.path}: ends early, it was changed while being read")
        return self._tensor(flat.reshape(stop - start, d))

    def take(self, index: Tensor) -> Tensor:
        if isinstance(self.path, Remote):
            return self._scattered(self.path, index)
        unchanged(self.path, self.stamp)
        try:
            mapped = np.memmap(self.path, self.kind, "r", self.offset, self.shape)
        except (OSError, ValueError) as error:
            raise FileError(f"{self.path}: cannot be mapped ({error})") from error
        return self._tensor(mapped[index.numpy()])

    def _scattered(self, path: Remote, index: Tensor) -> Tensor:
        """Rows of a remote file: each row once, in the order of the file."""
        rows, places = np.unique(index.numpy(), return_inverse=True)
        found = np.empty((len(rows), self.shape[1]), self.kind)
        size = self.shape[1] * self.kind.itemsize
        spans = [(begin, begin + size) for begin in (self.offset + rows * size).tolist()]
        for i, content in enumerate(ranges.scattered(path, self.stamp, spans)):
            found[i] = np.frombuffer(content, self.kind)
        return self._tensor(found[places])

    def _tensor(self, values: np.ndarray[Any, Any]) -> Tensor:
        native = np.ascontiguousarray(values, dtype=self.kind.newbyteorder("="))
        tensor = torch.from_numpy(native)
        return tensor.view(torch.bfloat16) if self.dtype is torch.bfloat16 else tensor


@dataclass(frozen=True, eq=False)
class ShardedRows:
    """Several sources of rows, one after the other.

    What a read costs does not depend on how many parts there are, only on how many it needs.
    """

    parts: tuple[Rows, ...]
    ends: NDArray[np.int64] = field(init=False, repr=False)  # rows before the end of each part
    shape: tuple[int, int] = field(init=False)
    dtype: torch.dtype = field(init=False)
    in_memory: bool = field(init=False)

    def __post_init__(self) -> None:
        ends = np.cumsum([part.shape[0] for part in self.parts], dtype=np.int64)
        first = self.parts[0]
        vars(self).update(  # the fields of a frozen dataclass
            ends=ends,
            shape=(int(ends[-1]), first.shape[1]),
            dtype=first.dtype,
            in_memory=all(part.in_memory for part in self.parts),
        )

    def read(self, start: int, stop: int) -> Tensor:
        if start == stop:
            return torch.empty((0, self.shape[1]), dtype=self.dtype)
        found: list[Tensor] = []
        at = int(np.searchsorted(self.ends, start, side="right"))
        while start < stop:
            end = int(self.ends[at])
            part = self.parts[at]
            if start < end:
                first = end - part.shape[0]
                found.append(part.read(start - first, min(stop, end) - first))
                start = end
            at += 1
        return found[0] if len(found) == 1 else torch.cat(found)

    def take(self, index: Tensor) -> Tensor:
        out = torch.empty((len(index), self.shape[1]), dtype=self.dtype)
        owner = np.searchsorted(self.ends, index.numpy(), side="right")
        order = np.argsort(owner, kind="stable")  # the places in ``index``, part by part
        needed, begins = np.unique(owner[order], return_index=True)
        for at, places in zip(needed.tolist(), np.split(order, begins)[1:], strict=True):
            part, here = self.parts[at], torch.from_numpy(places)
            out[here] = part.take(index[here] - (int(self.ends[at]) - part.shape[0]))
        return out


@dataclass(frozen=True, eq=False)
class SomeRows:
    """Rows [start, stop) of others."""

    whole: Rows
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, int]:
        return (self.stop - self.start, self.whole.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        return self.whole.dtype

    @property
    def in_memory(self) -> bool:
        return self.whole.in_memory

    def read(self, start: int, stop: int) -> Tensor:
        return self.whole.read(self.start + start, self.start + stop)

    def take(self, index: Tensor) -> Tensor:
        return self.whole.take(index + self.start)


@dataclass(frozen=True, eq=False)
class PickedRows:
    """Rows of others, at an index (k,)."""

    whole: Rows
    index: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return (len(self.index), self.whole.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        return self.whole.dtype

    @property
    def in_memory(self) -> bool:
        return self.whole.in_memory

    @property
    def parts(self) -> tuple[Rows, ...]:
        return (self.whole,)

    def read(self, start: int, stop: int) -> Tensor:
        return self.whole.take(self.index[start:stop])

    def take(self, index: Tensor) -> Tensor:
        return self.whole.take(self.index[index])


def as_rows(array: object, source: str) -> Rows:
    """Rows of whatever holds numbers: tensor, numpy array, memory map, nested list, or Rows.

    Raises:
        InputError: not two-dimensional, not floating, fewer than two rows, or no columns.
    """
    if isinstance(array, Rows):
        return check_shape(array, source)
    refuse_mask(array, source)
    if isinstance(array, Tensor):
        tensor = array.detach()
        if tensor.device.type != "cpu":
            tensor = tensor.cpu()
    else:
        try:
            values = np.asarray(array)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{source}: must be an array of numbers; got {error}") from error
        if values.dtype.kind != "f":
            raise InputError(f"{source}: must hold float16, float32 or float64; got {values.dtype}")
        if values.dtype.itemsize > 8:
            values = values.astype(np.float64)
        values = np.asarray(values, dtype=values.dtype.newbyteorder("="))
        if any(stride < 0 for stride in values.strides) or not values.flags.writeable:
            values = values.copy()
        tensor = torch.from_numpy(values)
    if tensor.dtype not in FLOATS:
        raise InputError(f"{source}: must hold float16, float32 or float64; got {tensor.dtype}")
    if tensor.ndim != 2:
        raise InputError(
            f"{source}: must have 2 dimensions (rows, columns); got {tuple(tensor.shape)}"
        )
    return check_shape(MemoryRows(tensor), source)


def numbers(vectors: Any, source: str) -> Tensor:
    """A (n, d) floating tensor of an array of numbers; one row is enough.

    Raises:
        InputError: not two-dimensional, not floating, or no rows.
    """
    if isinstance(vectors, Tensor):
        vectors = vectors.detach().cpu()
    elif not isinstance(vectors, np.ndarray):
        try:
            vectors = np.asarray(vectors, dtype=np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{source}: must be an array of numbers; got {error}") from error
    if vectors.ndim == 2 and len(vectors) == 0:
        raise InputError(f"{source}: needs at least one row; got none")
    if vectors.ndim == 2 and len(vectors) == 1:  # as_rows requires two
        twice = torch.cat([vectors] * 2) if isinstance(vectors, Tensor) else vectors.repeat(2, 0)
        return as_rows(twice, source).read(0, 1)
    rows = as_rows(vectors, source)
    return rows.read(0, rows.shape[0])


def refuse_mask(array: object, source: str) -> None:
    """Refuse a masked array: what lies under its mask would be taken for data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise InputError(f"{source}: must hold a value everywhere; got a masked array")


def check_shape(rows: Rows, source: str) -> Rows:
    """Refuse fewer than two rows or no columns."""
    n, d = rows.shape
    if n < 2 or d < 1:
        raise InputError(f"{source}: needs at least 2 rows and 1 column; got shape ({n}, {d})")
    return rows


def concatenate(parts: Sequence[Rows], source: str) -> Rows:
    """One Rows of many shards, which must agree in width and dtype."""
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        raise InputError(f"{source}: shards must have the same width; got {widths}")
    kinds = {str(part.dtype).removeprefix("torch.") for part in parts}
    if len(kinds) > 1:
        raise InputError(f"{source}: shards must have one dtype; got {', '.join(sorted(kinds))}")
    return parts[0] if len(parts) == 1 else ShardedRows(tuple(parts))


def torch_dtype(kind: np.dtype[Any]) -> torch.dtype | None:
    """The torch dtype of a numpy floating dtype of 2, 4 or 8 bytes, else None."""
    return _NUMPY_NAMES.get(f"{kind.kind}{kind.itemsize}")
