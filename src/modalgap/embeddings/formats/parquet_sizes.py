"""How large a column of a Parquet file is in memory, before it is decoded.

A few kilobytes of Parquet can hold gigabytes: pages are compressed, a long string is stored once
for all rows that repeat it, and one number can declare any number of rows. The metadata of a file
may be wrong, so the headers of the pages are read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_pages import struct_of
from modalgap.errors import FileError
from modalgap.files import check_expansion
from modalgap.remote import Location

VALUE = 64  # bytes that a value takes as an object of Python, about
BATCH = 2**26  # bytes that are decoded at once, about
_ROWS = 8192  # rows that are decoded at once if their strings are stored once
_HEADER = 4096  # bytes of a header of a page; a longer one has long statistics
_LONG_HEADER = 2**20
_PREFIXED = {"DELTA_BYTE_ARRAY"}  # each string stores only what differs from the one before
_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}


def read_columns(
    path: Location, file: pq.ParquetFile, names: Sequence[str], group: int | None = None
) -> pa.Table:
    """Whole columns, or those of one row group.

    Raises:
        FileError: they are too large for the size of the file or for the memory.
    """
    check_columns(path, file, names, group)
    if group is None:
        return file.read(list(names))
    return file.read_row_group(group, list(names))


def check_columns(
    path: Location,
    file: pq.ParquetFile,
    names: Sequence[str],
    group: int | None = None,
    each: int = VALUE,
) -> None:
    """Refuse columns that expand to more than a file of this size may hold.

    Args:
        path: the file.
        file: the same, open.
        names: the columns.
        group: the row group; by default all.
        each: bytes of a value in addition to its string.

    Raises:
        FileError: as ``check_expansion``, or damaged pages.
    """
    size, wanted = path.stat().st_size, 0
    chunks = []
    for chunk in _chunks(path, file, names, group):
        chunks.append(chunk)
        wanted += chunk.plain(each)
        check_expansion(path, size, wanted)
    for chunk in chunks:
        for more in chunk.repeated(path):
            wanted += more
            check_expansion(path, size, wanted)


def rows_at_once(
    path: Location, file: pq.ParquetFile, name: str, most: int, group: int | None = None
) -> int:
    """At most ``most`` rows of a column whose values are no lists, so that a batch is not large."""
    try:
        largest = max((each.largest for each in _chunks(path, file, [name], group)), default=1)
    except FileError:  # damaged: the reader reports which rows
        return 1
    return max(1, min(most, 4 * BATCH // max(largest, 1)))


@dataclass(frozen=True)
class _Chunk:
    """The values of one leaf of a column in a row group.

    Attributes:
        group: number of the row group.
        leaf: path of the leaf.
        values: number of values, with nulls.
        size: bytes of the pages, decompressed.
        largest: bytes of the largest page; no value is larger.
        fixed: bytes of each value of a column of byte strings of one length, otherwise 0.
        strings: whether the values are strings or bytes.
        coded: whether strings that occur twice may be stored once.
        prefixed: whether strings may be stored as differences.
        nested: whether a row may hold many values.
    """

    group: int
    leaf: str
    values: int
    size: int
    largest: int
    fixed: int
    strings: bool
    coded: bool
    prefixed: bool
    nested: bool

    def plain(self, each: int) -> int:
        """Bytes of the values; each takes ``each`` bytes in addition to its string."""
        if self.strings:
            return each * self.values + self.size
        return max(each * self.values, self.size)

    def repeated(self, path: Location) -> Iterator[int]:
        """Bytes of the strings that are stored once or as differences, part by part."""
        if self.fixed:
            yield self.fixed * self.values
        elif not (self.coded or self.prefixed) or self.largest * self.values <= BATCH:
            return
        elif self.prefixed and self.nested:
            yield self.largest * self.values
        else:
            known = [self.leaf] if self.coded and not self.prefixed else []
            rows = _ROWS if known else max(1, BATCH // self.largest)
            with opened(path, read_dictionary=known, pre_buffer=False) as file:
                for batch in file.iter_batches(
                    rows, row_groups=[self.group], columns=[self.leaf], use_threads=False
                ):
                    yield sum(string_bytes(column) for column in batch.columns)


def _chunks(
    path: Location, file: pq.ParquetFile, names: Sequence[str], group: int | None
) -> Iterator[_Chunk]:
    metadata = file.metadata
    leaves = {
        i: each
        for i in range(metadata.num_columns)
        if any(
            (each := metadata.schema.column(i)).path == name or each.path.startswith(f"{name}.")
            for name in names
        )
    }
    for number in range(metadata.num_row_groups) if group is None else [group]:
        about = metadata.row_group(number)
        for i, leaf in leaves.items():
            column = about.column(i)
            values, size, largest = _pages(path, column)
            strings = leaf.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
            encodings = set(column.encodings) if strings else set()
            yield _Chunk(
                number,
                leaf.path,
                max(values, column.num_values, about.num_rows),
                size,
                largest,
                leaf.length if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0,
                strings,
                bool(encodings & _DICTIONARIES) or (strings and column.has_dictionary_page),
                bool(encodings & _PREFIXED),
                leaf.max_repetition_level > 0,
            )


def _pages(path: Location, column: Any) -> tuple[int, int, int]:
    """Values, bytes and bytes of the largest page of a column chunk, by the headers of its pages.

    Those of a remote file would need a request each: there the metadata counts.

    Raises:
        FileError: damaged headers.
    """
    whole = column.total_uncompressed_size
    if not isinstance(path, Path):
        return column.num_values, whole, whole
    starts = [column.data_page_offset, column.dictionary_page_offset]
    at = min((each for each in starts if each), default=0)
    end = at + column.total_compressed_size
    values = size = largest = 0
    try:
        with path.open("rb", buffering=0) as file:
            while at < end and (not column.num_values or values < column.num_values):
                header, length = _header(file, at)
                about = header.get(5) or header.get(8) or {}  # of version 1, of version 2
                if min(header[2], header[3], about.get(1, 0)) < 0:
                    raise ValueError("a negative size")
                values += about.get(1, 0)
                size, largest = size + header[2], max(largest, header[2])
                at += length + header[3]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise FileError(f"{path}: must be a whole parquet file; found damaged pages") from error
    return values, size, largest


def _header(file: IO[bytes], at: int) -> tuple[dict[int, Any], int]:
    """The header of a page, and its length."""
    file.seek(at)
    start = file.read(_HEADER)
    try:
        return struct_of(memoryview(start))
    except IndexError:
        return struct_of(memoryview(start + file.read(_LONG_HEADER)))


def string_bytes(values: pa.Array) -> int:
    """Bytes of strings, each counted as often as it occurs."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(values.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(string_bytes(values.field(i)) for i in range(kind.num_fields))
    if pa.types.is_map(kind):
        return string_bytes(values.keys) + string_bytes(values.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return string_bytes(values.flatten())
    return int(values.nbytes)
