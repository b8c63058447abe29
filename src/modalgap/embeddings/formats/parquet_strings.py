"""Strings of a column of a Parquet file, which are read one row group at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_sizes import read_columns
from modalgap.embeddings.matching import Ints
from modalgap.embeddings.strings import Strings
from modalgap.errors import FileError
from modalgap.files import reading, unchanged
from modalgap.files import stamp as stamp_of
from modalgap.remote import Location, Stamp

OPEN = 4  # files that stay open, with their metadata; there may be thousands of shards
KEPT = 2  # row groups that stay in memory: one for each of two modalities


@dataclass(frozen=True, eq=False, repr=False)
class ParquetStrings(Strings):
    """The first ``n`` strings of a column; a null is an empty string.

    Args:
        path: the file.
        key: name of the column.
        n: number of strings.
        size: bytes of the column, decompressed.
        stamp: stamp of the file when it was opened.
    """

    path: Location
    key: str
    n: int
    size: int
    stamp: Stamp

    def __len__(self) -> int:
        return self.n

    @property
    def nbytes(self) -> int:
        return self.size + 8 * self.n

    def _read(self, start: int, stop: int) -> list[str]:
        return [each for part in self._groups(start, stop) for each in _listed(self.path, part)]

    def _scattered(self, index: Ints) -> list[str]:
        starts = self._starts()
        group = np.searchsorted(starts, index, "right") - 1
        begins = np.flatnonzero(np.diff(group, prepend=-1)).tolist()
        return [
            each
            for a, b in itertools.pairwise([*begins, len(index)])
            for each in _listed(
                self.path, self._group(int(group[a])).take(pa.array(index[a:b] - starts[group[a]]))
            )
        ]

    def _groups(self, start: int, stop: int) -> Iterator[pa.ChunkedArray]:
        """Yield the strings [start, stop), one row group at a time."""
        starts = self._starts()
        first, last = np.searchsorted(starts, [start, stop - 1], "right") - 1
        for group in range(int(first), int(last) + 1):
            begin = int(starts[group])
            low = max(start - begin, 0)
            yield self._group(group).slice(low, stop - begin - low)

    def _starts(self) -> Ints:
        unchanged(self.path, self.stamp)
        with reading(self.path, "parquet"):
            return _opened(self.path, self.stamp)[1]

    def _group(self, group: int) -> pa.ChunkedArray:
        with reading(self.path, "parquet"):
            return _read(self.path, self.stamp, self.key, group)


def strings_of(
    path: Location, file: pq.ParquetFile, key: str, where: str, n: int
) -> ParquetStrings:
    """The first ``n`` strings of a column.

    Args:
        path: the file.
        file: the same, open.
        key: name of the column.
        where: the name of the column in messages.
        n: number of strings.

    Raises:
        FileError: the column does not hold strings.
    """
    kind = file.schema_arrow.field(key).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise FileError(f"{where} must be strings; found {kind}")
    about, leaf = file.metadata, _leaf(file, key)
    groups = map(about.row_group, range(about.num_row_groups))
    size = sum(group.column(leaf).total_uncompressed_size for group in groups)
    return ParquetStrings(path, key, min(n, file.metadata.num_rows), size, stamp_of(path))


def is_empty(path: Location, file: pq.ParquetFile, key: str) -> bool:
    """Whether a column holds nulls only."""
    about, leaf = file.metadata, _leaf(file, key)
    for group in range(about.num_row_groups):
        known = about.row_group(group).column(leaf).statistics
        if known is None or not known.has_null_count:
            nulls = read_columns(path, file, [key], group)[key].null_count
        else:
            nulls = known.null_count
        if nulls < about.row_group(group).num_rows:
            return False
    return True


def _leaf(file: pq.ParquetFile, key: str) -> int:
    """The number of a column of strings."""
    about = file.metadata
    return next(i for i in range(about.num_columns) if about.schema.column(i).path == key)


@lru_cache(OPEN)
def _opened(path: Location, _: Stamp) -> tuple[pq.ParquetFile, Ints]:
    """An open file, and the first row of each row group and after the last."""
    file = opened(path, page_checksum_verification=True, pre_buffer=False)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    return file, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


@lru_cache(KEPT)
def _read(path: Location, stamp: Stamp, key: str, group: int) -> pa.ChunkedArray:
    """A column of a row group."""
    return read_columns(path, _opened(path, stamp)[0], [key], group)[key]


def _listed(path: Location, column: pa.ChunkedArray) -> list[str]:
    with reading(path, "parquet"):  # to_pylist raises an error if the bytes are not UTF-8
        return [value or "" for value in column.to_pylist()]
