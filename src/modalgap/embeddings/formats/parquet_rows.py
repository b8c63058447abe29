"""Rows of a Parquet column of lists, which stay in the file and are decoded as they are needed.

Parquet cannot be memory-mapped: a column is stored in row groups, and a row can only be reached by
decoding its row group from the start. A pass over the rows decodes each row group once, in blocks
of about 2 MB. To read scattered rows, the row groups that hold them are decoded.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.embeddings.formats.parquet_pages import plain_rows
from modalgap.embeddings.formats.parquet_sizes import check_columns
from modalgap.embeddings.rows import MemoryRows, Rows
from modalgap.errors import FileError, quoted
from modalgap.files import check_memory, reading, stamp, unchanged
from modalgap.remote import Location, Remote, Stamp

BLOCK = 2 * 2**20  # bytes decoded at once: small blocks are slow, large ones exceed the cache
BUFFER = 8 * 2**20  # bytes read at once from a column chunk that is larger than LARGE
LARGE = 32 * 2**20
REQUEST = 16 * 2**20  # bytes requested at once from a remote file
IDLE = 8  # columns that stay open after a read, with one decoded block each
WHOLE = 8 * 2**20  # bytes of the largest row group that plain_rows reads, as one block
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_KINDS = {torch.float16: "<f2", torch.float32: "<f4", torch.float64: "<f8"}
_DTYPES = {pa.float16(): torch.float16, pa.float32(): torch.float32, pa.float64(): torch.float64}


@dataclass(frozen=True, eq=False)
class ParquetRows:
    """Rows of one column of lists.

    Attributes:
        path: path of the file.
        key: name of the column.
        shape: (n, d); the column may have more rows, which are null.
        dtype: dtype of the numbers.
        ends: number of rows before the end of each row group.
        buffer: bytes read at once; 0 for whole column chunks.
    """

    path: Location
    key: str
    shape: tuple[int, int]
    dtype: torch.dtype
    ends: NDArray[np.int64]
    buffer: int = 0
    in_memory: bool = False
    stamp: Stamp = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stamp", stamp(self.path))

    @property
    def groups_at_once(self) -> int:
        """Row groups of a remote file whose ranges are requested together."""
        size = int(self.ends[-1]) * self.shape[1] * self.dtype.itemsize
        return max(1, REQUEST * len(self.ends) // max(1, size))

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as stored, (stop - start, d)."""
        found = [
            block[max(start - first, 0) : stop - first]
            for first, block in self._blocks(start, stop)
        ]
        if not found:
            return torch.empty((0, self.shape[1]), dtype=self.dtype)
        return found[0] if len(found) == 1 else torch.cat(found)

    def take(self, index: Tensor) -> Tensor:
        """Rows at ``index`` (k,) as stored, (k, d)."""
        out = torch.empty((len(index), self.shape[1]), dtype=self.dtype)
        order = index.argsort()
        rows = index[order].numpy()
        borders = np.unique(np.searchsorted(rows, [0, *self.ends]))
        for a, b in itertools.pairwise(borders):  # the rows of one row group
            for first, block in self._blocks(int(rows[a]), int(rows[b - 1]) + 1):
                low, high = a + np.searchsorted(rows[a:b], [first, first + len(block)])
                out[order[low:high]] = block[rows[low:high] - first]
        return out

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """(first row, rows) of each block that has rows of [start, stop), in order."""
        if not isinstance(self.path, Remote):  # remote: checked by each request
            unchanged(self.path, self.stamp)
        if start >= stop:
            return
        with _OPEN.column(self, start) as column:
            while start < stop:
                while column.stop <= start:
                    column.advance()
                yield column.start, column.block
                start = column.stop


def rows_of(path: Location, file: pq.ParquetFile, key: str) -> Rows:
    """The rows of a column of lists, before its nulls.

    The number and width of the rows follow from the metadata, and every value is checked when it is
    first decoded. Where the metadata is not enough, the whole column is decoded once.

    Raises:
        FileError: not lists of floats of one length, a null inside a list, or before the last row.
    """
    where = f"{path}: {quoted(key[:80])}"
    kind = file.schema_arrow.field(key).type
    value = kind.value_type if is_list(kind) else kind
    if value is kind or value not in _DTYPES:
        raise FileError(f"{where} must be lists of float16, float32 or float64; found {value}")
    groups = _groups(file.metadata, key)
    ends = np.cumsum([rows for rows, _, _ in groups], dtype=np.int64)
    check_columns(path, file, [key], each=value.bit_width // 8)
    n, width = _declared(file, key) or _decoded(file, key, where, 0)
    if not n:
        return MemoryRows(torch.empty((0, 1)))
    if n < file.metadata.num_rows:  # what follows the last row is null, as the metadata says
        group = int(np.searchsorted(ends, n, side="right"))
        first = int(ends[group - 1]) if group else 0
        if _decoded(file, key, where, group) != (n - first, width if n > first else 0):
            n, width = _decoded(file, key, where, 0)
    buffer = BUFFER if max(size for _, _, size in groups) > LARGE else 0
    return ParquetRows(path, key, (n, width), _DTYPES[value], ends, buffer)


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists of any of Arrow's kinds."""
    return any(test(kind) for test in _LISTS)


def _groups(metadata: pq.FileMetaData, key: str) -> list[tuple[int, int, int]]:
    """Rows, values and compressed bytes of a column, of each row group."""
    leaf = _leaf(metadata, key)
    found = []
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        column = group.column(leaf)
        found.append((group.num_rows, column.num_values, column.total_compressed_size))
    return found


def _leaf(metadata: pq.FileMetaData, key: str) -> int:
    """Number of the column of values of a column of lists."""
    paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    return next(i for i, path in enumerate(paths) if path.startswith(f"{key}."))


def _declared(file: pq.ParquetFile, key: str) -> tuple[int, int] | None:
    """Number and width of the rows by the metadata; None if the metadata is not enough.

    A list counts as many values as it has numbers, and a null as one.
    """
    groups = _groups(file.metadata, key)
    width = _width(file, key) if groups else 0
    if width < 2:  # then a null counts as much as a list
        return None
    there = []
    for rows, values, _ in groups:
        missing, rest = divmod(rows * width - values, width - 1)
        if rest or not 0 <= missing <= rows:
            return None
        there.append(rows - missing)
    full = [rows for rows, _, _ in groups]
    last = next((i for i, rows in enumerate(full) if there[i] < rows), len(full))
    return None if any(there[last + 1 :]) else (sum(there), width)


def _width(file: pq.ParquetFile, key: str) -> int:
    """The length of the first list; 0 if the first row is null."""
    metadata = file.metadata
    leaf = _leaf(metadata, key)
    rows, column = metadata.row_group(0).num_rows, metadata.row_group(0).column(leaf)
    values, known = column.num_values, column.statistics
    by_arrow = (metadata.created_by or "").startswith("parquet-cpp-arrow")
    # others may count the nulls among the numbers only, and not those in place of lists
    if by_arrow and known is not None and known.null_count == 0 and rows and values % rows == 0:
        return int(values // rows)
    first = next(iter(file.iter_batches(1, columns=[key], use_threads=False)), None)
    if first is None or first.column(0).null_count:
        return 0
    return int(pc.list_value_length(first.column(0))[0].as_py())


def _decoded(file: pq.ParquetFile, key: str, where: str, group: int) -> tuple[int, int]:
    """Number and width of the rows from a row group on, by decoding every value."""
    n, width, ended = 0, 0, False
    groups = range(group, file.metadata.num_row_groups)
    for batch in file.iter_batches(8192, row_groups=groups, columns=[key], use_threads=False):
        column = batch.column(0)
        there = len(column) - column.null_count
        if there and ended:
            raise FileError(f"{where} must have its empty rows at the end; found some before")
        ended = there < len(column)
        if there:
            width = _vectors(column, where, width or None).shape[1]
            n += there
    return n, width


def _vectors(column: pa.Array, where: str, width: int | None) -> Tensor:
    """(n, d): the rows before trailing nulls."""
    there = len(column) - column.null_count
    column = column[:there]
    if column.null_count:
        raise FileError(f"{where} must have its empty rows at the end; found some before")
    flat = column.flatten()
    if flat.null_count:
        raise FileError(f"{where} must be numbers in every list; found nulls")
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    width = int(lengths[0]) if width is None else width
    wrong = lengths != width
    if wrong.any():
        raise FileError(
            f"{where} must be lists of one length; found lengths {width} and {lengths[wrong][0]}"
        )
    found: Tensor = torch.from_dlpack(flat)  # type: ignore[attr-defined]  # no copy
    return found.reshape(there, width)


class _Column:
    """A column that is being decoded, from the start of a row group on, and its last block.

    Attributes:
        rows: the rows of the column.
        start: first row of the block.
        stop: end of the block.
        block: rows [start, stop).
    """

    block: Tensor

    def __init__(self, rows: ParquetRows, group: int, metadata: pq.FileMetaData | None) -> None:
        self.rows = rows
        self.start = self.stop = int(rows.ends[group - 1]) if group else 0
        check_memory(rows.path, 4 * rows.shape[1] * rows.dtype.itemsize)
        far = isinstance(rows.path, Remote)
        if far:
            unchanged(rows.path, rows.stamp)
        with reading(rows.path, "parquet"):
            path = rows.path
            source = path.source() if isinstance(path, Remote) else pa.OSFile(str(path))
            self.file = pq.ParquetFile(
                source,
                metadata=metadata,
                page_checksum_verification=True,
                pre_buffer=far and not rows.buffer,  # all ranges of the row groups at once
                buffer_size=rows.buffer,
            )
            self.blocks = _decoding(rows, self.file, source, group)

    def advance(self) -> None:
        """Decode the next block."""
        rows = self.rows
        where = f"{rows.path}: {quoted(rows.key[:80])}"
        with reading(rows.path, "parquet"):
            found = next(self.blocks, None)
        if found is None:
            raise FileError(f"{where} must have {rows.shape[0]} rows; it ends early")
        length, self.block = found
        self.start, self.stop = self.stop, self.stop + length
        if len(self.block) != min(self.stop, rows.shape[0]) - self.start:
            raise FileError(f"{where} must have its empty rows at the end; found some before")


def _decoding(
    rows: ParquetRows, file: pq.ParquetFile, source: pa.NativeFile, group: int
) -> Iterator[tuple[int, Tensor]]:
    """Blocks of a column from a row group on: how many rows, and those that are not null."""
    where = f"{rows.path}: {quoted(rows.key[:80])}"
    leaf, kind = _leaf(file.metadata, rows.key), _KINDS[rows.dtype]
    last = len(rows.ends)
    while group < last and not isinstance(rows.path, Remote):  # whose ranges are read together
        if file.metadata.row_group(group).column(leaf).total_compressed_size > WHOLE:
            break
        plain = plain_rows(source, file.metadata, group, leaf, rows.shape[1], kind)
        if plain is None:
            break
        yield len(plain), torch.from_numpy(plain)
        group += 1
    for batch in _batches(rows, file, group):
        yield len(batch), _vectors(batch.column(0), where, rows.shape[1])


def _batches(rows: ParquetRows, file: pq.ParquetFile, group: int) -> Iterator[pa.RecordBatch]:
    """The batches of a column from a row group on; of a remote file, few row groups at a time."""
    step = max(1, BLOCK // (rows.shape[1] * rows.dtype.itemsize))
    last = len(rows.ends)
    at_once = rows.groups_at_once if isinstance(rows.path, Remote) else last
    for first in range(group, last, at_once):
        if first > group:
            unchanged(rows.path, rows.stamp)
        groups = range(first, min(first + at_once, last))
        yield from file.iter_batches(step, row_groups=groups, columns=[rows.key], use_threads=False)


class _OpenColumns:
    """The columns that were read last, so that the next read of a pass does not start again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Column] = []  # the one used last at the end

    @contextmanager
    def column(self, rows: ParquetRows, start: int) -> Iterator[_Column]:
        """A column that this thread alone uses, whose next block may be that of row ``start``."""
        group = int(np.searchsorted(rows.ends, start, side="right"))
        first = int(rows.ends[group - 1]) if group else 0
        with self.lock:
            same = [each for each in self.idle if _same(each.rows, rows)]
            near = [each for each in same if each.start <= start and first <= each.stop]
            found = max(near, key=lambda each: each.start, default=None)
            if found is not None:
                self.idle.remove(found)
        if found is None:
            found = _Column(rows, group, same[0].file.metadata if same else None)
        yield found  # after an error, it is not used again
        with self.lock:
            self.idle.append(found)
            del self.idle[:-IDLE]


def _same(one: ParquetRows, two: ParquetRows) -> bool:
    return (one.path, one.key, one.stamp) == (two.path, two.key, two.stamp)


_OPEN = _OpenColumns()


def _after_fork() -> None:
    """A child process opens its own files: another thread may have held the lock."""
    global _OPEN
    _OPEN = _OpenColumns()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
