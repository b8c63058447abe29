"""Sequences of strings, one per row, that stay in one file or in many.

They replace a tuple that might not fit in memory. Each access reads the strings that it returns, an
iteration reads ``CHUNK`` strings at a time, and nothing stays in memory between accesses. What can
be checked without reading every string is checked when the file is opened, the rest when a string
is read.
"""

from __future__ import annotations

import itertools
import operator
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from modalgap.embeddings.matching import Ints
from modalgap.embeddings.rows import CHUNK, Rows
from modalgap.errors import FileError

TOGETHER = 2**24  # bytes of scattered strings that are read at once


class Strings(Sequence[str]):
    """A sequence of strings that are read when they are used; equal to a tuple of these strings."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that all strings and their offsets take where they are stored; an estimate."""

    @abstractmethod
    def _read(self, start: int, stop: int) -> list[str]:
        """The strings [start, stop), at least one."""

    @abstractmethod
    def _scattered(self, index: Ints) -> list[str]:
        """The strings at an ascending index (k,), k > 0, of at most ``CHUNK`` rows."""

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[str, ...]: ...

    def __getitem__(self, key: int | slice) -> str | tuple[str, ...]:
        if isinstance(key, slice):
            where = range(len(self))[key]
            if where.step != 1:
                return tuple(self.take(where))
            return tuple(self._read(where.start, where.stop)) if where else ()
        row = range(len(self))[operator.index(key)]  # negative: from the end; else an IndexError
        return self._read(row, row + 1)[0]

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(blocks(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        same = len(self) == len(other)
        return same and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment] # like a list, and unlike its equal, a tuple

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} strings)"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All strings in memory."""
        if copy is False:
            raise ValueError("strings are read from a file: copy=False is not supported")
        return np.array(list(self), dtype=str if dtype is None else dtype)

    def take(self, index: ArrayLike) -> list[str]:
        """The strings at ``index`` (k,), in its order."""
        wanted = np.asarray(index, np.int64)
        order = np.argsort(wanted, kind="stable")
        found = np.empty(len(wanted), dtype=object)
        for start in range(0, len(order), CHUNK):
            places = order[start : start + CHUNK]
            rows = wanted[places]
            low, high = int(rows[0]), int(rows[-1]) + 1
            if high - low <= 4 * len(rows):  # dense enough to read in one go
                block = self._read(low, high)
                found[places] = [block[row] for row in (rows - low).tolist()]
            else:
                found[places] = self._scattered(rows)
        return found.tolist()


@dataclass(frozen=True, eq=False, repr=False)
class JoinedStrings(Strings):
    """Strings that are stored as one array of UTF-8 bytes, and the offsets between them.

    Args:
        data: (b, 1) uint8.
        offsets: (n + 1, 1) int64.
        where: the name of the strings in messages.

    Raises:
        FileError: the last offset is not b; when strings are read: the first offset is not 0, an
            offset is smaller than the one before, or bytes are not UTF-8.
    """

    data: Rows
    offsets: Rows
    where: str

    def __post_init__(self) -> None:
        n = self.offsets.shape[0]
        if n == 0 or self._ends(n - 1, n)[0] != self.data.shape[0]:  # one read of each shard
            raise self._wrong()

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @property
    def nbytes(self) -> int:
        return self.data.shape[0] + 8 * self.offsets.shape[0]

    @property
    def parts(self) -> tuple[Rows, ...]:
        """Where they are stored."""
        return (self.data, self.offsets)

    def _read(self, start: int, stop: int) -> list[str]:
        ends = self._ends(start, stop + 1)
        self._check(start, ends[:-1], ends[1:])
        raw = self.data.read(int(ends[0]), int(ends[-1]))
        return self._decoded(raw, ends - ends[0])

    def _scattered(self, index: Ints) -> list[str]:
        both = self.offsets.take(torch.from_numpy(np.concatenate([index, index + 1])))
        first, last = both.reshape(2, -1).numpy()
        self._check(int(index[0]), first, last)
        lengths = last - first
        ends = np.concatenate([[0], np.cumsum(lengths)])
        if ends[-1] > TOGETHER:
            return [each for row in index.tolist() for each in self._read(row, row + 1)]
        if not ends[-1]:
            return [""] * len(index)
        where = np.arange(ends[-1]) + np.repeat(first - ends[:-1], lengths)
        return self._decoded(self.data.take(torch.from_numpy(where)), ends)

    def _ends(self, start: int, stop: int) -> Ints:
        return self.offsets.read(start, stop).reshape(-1).numpy()

    def _check(self, row: int, first: Ints, last: Ints) -> None:
        """Refuse wrong offsets of strings; the first string is that of this row."""
        begins = row > 0 or first[0] == 0
        if not begins or first.min() < 0 or (last < first).any() or last.max() > self.data.shape[0]:
            raise self._wrong()

    def _decoded(self, raw: torch.Tensor, ends: Ints) -> list[str]:
        whole = raw.numpy().tobytes()
        try:
            return [whole[a:b].decode() for a, b in itertools.pairwise(ends.tolist())]
        except UnicodeDecodeError as error:
            raise FileError(f"{self.where} must be UTF-8; found other bytes") from error

    def _wrong(self) -> FileError:
        return FileError(
            f"{self.where} must have .offsets that rise from 0 to {self.data.shape[0]}, the length"
            " of its .bytes; found other offsets"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ShardedStrings(Strings):
    """Several sequences of strings, one after the other."""

    parts: tuple[Sequence[str], ...]
    starts: Ints = field(init=False)

    def __post_init__(self) -> None:
        starts = np.concatenate(
            [[0], np.cumsum([len(part) for part in self.parts], dtype=np.int64)]
        )
        object.__setattr__(self, "starts", starts)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def nbytes(self) -> int:
        return sum(nbytes(part) for part in self.parts)

    def _read(self, start: int, stop: int) -> list[str]:
        found: list[str] = []
        for i in range(self._part(start), self._part(stop - 1) + 1):
            first = int(self.starts[i])
            found += self.parts[i][max(start - first, 0) : stop - first]
        return found

    def _scattered(self, index: Ints) -> list[str]:
        part = np.searchsorted(self.starts, index, "right") - 1
        begins = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
        return [
            each
            for a, b in itertools.pairwise([*begins, len(index)])
            for each in take(self.parts[part[a]], index[a:b] - self.starts[part[a]])
        ]

    def _part(self, row: int) -> int:
        """The part that holds a row: the last that starts there, as the others are empty."""
        return int(np.searchsorted(self.starts, row, "right")) - 1


@dataclass(frozen=True, eq=False, repr=False)
class PickedStrings(Strings):
    """The strings of ``whole`` at ``rows`` (k,)."""

    whole: Strings
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return self.whole.nbytes * len(self) // max(len(self.whole), 1)

    @property
    def parts(self) -> tuple[Strings]:
        """Where they are stored."""
        return (self.whole,)

    def _read(self, start: int, stop: int) -> list[str]:
        return self.whole.take(self.rows[start:stop])

    def _scattered(self, index: Ints) -> list[str]:
        return self.whole.take(self.rows[index])


def blocks(names: Sequence[str], size: int = CHUNK) -> Iterator[Sequence[str]]:
    """Yield all strings in order, ``size`` at a time."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def take(names: Sequence[str], index: Ints) -> list[str]:
    """The strings at ``index`` (k,), in its order."""
    if isinstance(names, Strings):
        return names.take(index)
    return [names[row] for row in index.tolist()]


def pick(names: Sequence[str], index: Ints) -> Sequence[str]:
    """The strings at ``index`` (k,), which are read when they are used if ``names`` are."""
    return PickedStrings(names, index) if isinstance(names, Strings) else take(names, index)


def nbytes(names: Sequence[str]) -> int:
    """Bytes of strings that are not in memory as Python strings; an estimate."""
    return names.nbytes if isinstance(names, Strings) else 0


def concatenate(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    """The strings of many shards."""
    return parts[0] if len(parts) == 1 else ShardedStrings(tuple(parts))
