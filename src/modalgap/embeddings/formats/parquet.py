"""``.parquet``: one column of lists per modality, side by side; shorter columns end in nulls.

The vectors stay in the file until they are read (``parquet_rows``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.formats import keys
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.layout import (
    MATRIX,
    OTHER,
    STRINGS,
    factor_key,
    match_key,
    names_key,
)
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_rows import is_list, rows_of
from modalgap.embeddings.formats.parquet_sizes import read_columns
from modalgap.embeddings.formats.parquet_strings import is_empty, strings_of
from modalgap.embeddings.rows import CHUNK, Rows
from modalgap.embeddings.strings import Strings
from modalgap.errors import FileError, InputError, quoted
from modalgap.files import parsing, regular_file
from modalgap.remote import Location

PREFIX = "modalgap."


def read(path: Location) -> Contents:
    """Read a file of modalgap, or of another program with common column names."""
    regular_file(path)
    with (
        parsing(path, "parquet"),
        opened(path, page_checksum_verification=True, pre_buffer=False) as file,
    ):
        return keys.decode(_Table(path, file), str(path), table=True)


def read_strings(path: Location, columns: Sequence[str]) -> tuple[int, dict[str, Strings]]:
    """The number of rows, and those of ``columns`` that are there, as strings."""
    regular_file(path)
    with parsing(path, "parquet"), opened(path, pre_buffer=False) as file:
        n: int = file.metadata.num_rows
        found: dict[str, Strings] = {
            name: strings_of(path, file, name, f"{path}: {quoted(name)}", n)
            for name in columns
            if name in file.schema_arrow.names
        }
        return n, found


def write(data: keys.Data, file: IO[bytes]) -> Iterator[int]:
    """Write ``data`` in row groups; yield the number of rows written."""
    sides = keys.sides_of(data)
    columns = _columns(data)
    schema = pa.schema(
        [
            *((modality, _list_type(side)) for modality, side in sides.items()),
            *((name, _column_type(values)) for name, values in columns.items()),
        ],
        metadata={f"{PREFIX}{key}": value for key, value in keys.describe(data).items()},
    )
    length = max(side.n for side in sides.values())
    step = max(1, min(CHUNK, 2**30 // max(side.dim for side in sides.values())))
    with pq.ParquetWriter(file, schema, use_dictionary=False, write_page_checksum=True) as writer:
        for start in range(0, length, step):
            stop = min(length, start + step)
            parts = [_lists(side, start, stop) for side in sides.values()]
            parts += [
                _padded(values[start:stop], stop - start, schema.field(name).type)
                for name, values in columns.items()
            ]
            writer.write_table(pa.Table.from_arrays(parts, schema=schema))
            yield sum(max(0, min(side.n, stop) - start) for side in sides.values())


class _Table:
    """The columns of one file."""

    def __init__(self, path: Location, file: pq.ParquetFile) -> None:
        self.path, self.file, self.schema = path, file, file.schema_arrow
        raw = self.schema.metadata or {}  # may hold what is not text, under other keys
        text = {
            key.decode(): value.decode()
            for key, value in raw.items()
            if key.startswith(PREFIX.encode())
        }
        self.metadata: Mapping[str, str] = {
            key.removeprefix(PREFIX): value for key, value in text.items()
        }
        if len(set(self.schema.names)) < len(self.schema.names):
            raise FileError(f"{path}: must name each column once; found a name twice")

    def names(self) -> Collection[str]:
        names: list[str] = self.schema.names
        return names

    def kind(self, key: str) -> str:
        kind = self.schema.field(key).type
        if not is_list(kind):
            return STRINGS  # captions or pictures: not vectors
        return MATRIX if pa.types.is_floating(kind.value_type) else OTHER

    def rows(self, key: str) -> Rows:
        return rows_of(self.path, self.file, key)

    def strings(self, key: str, n: int) -> Strings | None:
        if key not in self.names() or is_empty(self.path, self.file, key):
            return None
        return strings_of(self.path, self.file, key, self._where(key), n)

    def _column(self, name: str) -> pa.ChunkedArray | None:
        """A column, or None if it is missing or holds nothing."""
        if name not in self.names():
            return None
        column = read_columns(self.path, self.file, [name])[name]
        return None if column.null_count == len(column) else column

    def matches(self, key: str) -> NDArray[Any] | None:
        """(n,) integers, or (k, 2) of a column of lists: its rows and what each lists."""
        column = self._column(key)
        if column is None:
            return None
        where, n = self._where(key), len(column) - column.null_count
        listed = is_list(column.type)
        kind = column.type.value_type if listed else column.type
        if not pa.types.is_integer(kind):
            raise FileError(f"{where} must be integers or lists of integers; found {column.type}")
        column = column[:n]
        flat = column.combine_chunks().flatten() if listed else column
        if column.null_count or flat.null_count:
            raise FileError(f"{where} must have its nulls at the end; found some before")
        values: NDArray[Any] = flat.to_numpy()
        if not listed:
            return values
        counts = pc.list_value_length(column).to_numpy()
        return np.stack([np.repeat(np.arange(n), counts), values], 1)

    def factor(self, name: str, n: int) -> NDArray[Any]:
        column = self._column(name)
        if column is None or column[:n].null_count or len(column) - n != column.null_count:
            raise FileError(
                f"{self._where(name)} must have a value in each of {n} rows; found fewer"
            )
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            values: NDArray[Any] = column[:n].to_numpy()
            return values
        return np.array(_strings(column, self._where(name), n), dtype=str)

    def _where(self, name: str) -> str:
        return f"{self.path}: {quoted(name[:80])}"


def _strings(column: pa.ChunkedArray, where: str, n: int | None = None) -> list[str]:
    """Strings of a column; a null becomes an empty string."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise FileError(f"{where} must be strings; found {kind}")
    return [value or "" for value in column[:n].to_pylist()]


def _columns(data: keys.Data) -> dict[str, NDArray[Any] | Sequence[str]]:
    """Everything but the vectors: one value per row of its modality."""
    sides = keys.sides_of(data)
    result: dict[str, NDArray[Any] | Sequence[str]] = {}
    for (own, other), values in keys.matches_of(data).items():
        if values.ndim == 1:
            result[match_key(own, other)] = values
        else:  # along the second modality, where an item seldom has many matches
            result[match_key(other, own)] = _lists_of_first(values, sides[other].n)
    for modality, side in sides.items():
        if side.names is not None:
            result[names_key(modality)] = side.names
        for name, values in side.factors.items():
            result[factor_key(modality, name)] = values
    return result


def _lists_of_first(pairs: NDArray[np.int64], m: int) -> NDArray[Any]:
    """(m,) lists: for each row of the second column, those of the first that match it."""
    order = np.argsort(pairs[:, 1], kind="stable")
    result = np.empty(m, dtype=object)
    result[:] = np.split(pairs[order, 0], np.searchsorted(pairs[order, 1], np.arange(1, m)))
    return result


def _column_type(values: NDArray[Any] | Sequence[str]) -> pa.DataType:
    if not isinstance(values, np.ndarray):
        return pa.string()
    if values.dtype.kind == "i":
        return pa.int64()
    lists = len(values) and isinstance(values[0], np.ndarray)
    return pa.list_(pa.int64()) if lists else pa.string()


def _list_type(side: Embeddings) -> pa.DataType:
    """Lists without nulls inside, which take less time to decode than lists that may have some."""
    kinds = {torch.float16: pa.float16(), torch.float32: pa.float32(), torch.float64: pa.float64()}
    if side.rows.dtype not in kinds:
        raise InputError(
            "must hold float16, float32 or float64; got bfloat16, which .safetensors takes"
        )
    return pa.list_(pa.field("element", kinds[side.rows.dtype], nullable=False))


def _lists(side: Embeddings, start: int, stop: int) -> pa.Array:
    """Rows [start, stop) as lists, null beyond the last row."""
    there = max(0, min(side.n, stop) - start)
    kind = _list_type(side)
    missing = pa.nulls(stop - start - there, kind)
    if not there:
        return missing
    flat = side.rows.read(start, start + there).contiguous().numpy().reshape(-1)
    offsets = np.arange(0, len(flat) + 1, side.dim, dtype=np.int32)
    rows = pa.ListArray.from_arrays(offsets, pa.array(flat), type=kind)
    return pa.concat_arrays([rows, missing])


def _padded(values: NDArray[Any] | Sequence[str], length: int, kind: pa.DataType) -> pa.Array:
    missing = pa.nulls(length - len(values), kind)
    return pa.concat_arrays([pa.array(values, type=kind), missing])
