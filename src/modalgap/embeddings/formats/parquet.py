"""``.parquet``: one list column a modality, side by side; the shorter side ends in nulls.

Parquet has no plain arrays to map, so a file is read into memory, batch by batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from modalgap.embeddings.formats import keys
from modalgap.embeddings.formats.contents import SIDES, Contents, Side
from modalgap.embeddings.formats.files import check_memory, parsing, regular_file
from modalgap.embeddings.pair import CHUNK, Embeddings, Pair
from modalgap.embeddings.rows import MemoryRows
from modalgap.errors import FileError, InputError, quoted

PREFIX = "modalgap."
_BATCH = 8192
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def read(path: Path) -> Contents:
    """Read a file of ours, or anybody's with usual column names."""
    regular_file(path)
    with parsing(path, "parquet"), pq.ParquetFile(path, page_checksum_verification=True) as file:
        return _Table(path, file).contents()


def read_strings(path: Path, columns: Sequence[str]) -> tuple[int, dict[str, list[str]]]:
    """The number of rows, and those of ``columns`` that are there, as strings."""
    regular_file(path)
    with parsing(path, "parquet"), pq.ParquetFile(path) as file:
        found = {
            name: _strings(_read_column(path, file, name), f"{path}: {quoted(name)}")
            for name in columns
            if name in file.schema_arrow.names
        }
        return file.metadata.num_rows, found


def write(data: Pair | Embeddings, file: IO[bytes]) -> Iterator[int]:
    """Write ``data`` in row groups; yield the number of rows done."""
    sides = keys.sides_of(data)
    columns = _columns(data)
    schema = pa.schema(
        [
            *((side, pa.list_(_value_type(found))) for side, found in sides.items()),
            *(
                (name, pa.list_(pa.int64()) if name == "pairs" else _column_type(values))
                for name, values in columns.items()
            ),
        ],
        metadata={f"{PREFIX}{key}": value for key, value in keys.describe(data).items()},
    )
    length = max(found.n for found in sides.values())
    step = max(1, min(CHUNK, 2**30 // max(found.dim for found in sides.values())))
    with pq.ParquetWriter(file, schema, use_dictionary=False, write_page_checksum=True) as writer:
        for start in range(0, length, step):
            stop = min(length, start + step)
            parts = [_lists(found, start, stop) for found in sides.values()]
            parts += [
                _padded(values[start:stop], stop - start, schema.field(name).type)
                for name, values in columns.items()
            ]
            writer.write_table(pa.Table.from_arrays(parts, schema=schema))
            yield sum(max(0, min(found.n, stop) - start) for found in sides.values())


class _Table:
    """The columns of one file."""

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self.path, self.file, self.schema = path, file, file.schema_arrow
        raw = self.schema.metadata or {}
        text = {
            key.decode(): value.decode()
            for key, value in raw.items()
            if key.startswith(b"modalgap.")
        }
        self.metadata: Mapping[str, str] = keys.own(
            {key.removeprefix(PREFIX): value for key, value in text.items()}, str(path)
        )
        if len(set(self.schema.names)) < len(self.schema.names):
            raise FileError(f"{path}: must name each column once; found a name twice")

    def names(self) -> Collection[str]:
        names: list[str] = self.schema.names
        return names

    def kind(self, key: str) -> str:
        kind = self.schema.field(key).type
        if not any(test(kind) for test in _LISTS):
            return keys.STRINGS  # captions or pictures: not vectors, whatever they are
        return keys.MATRIX if pa.types.is_floating(kind.value_type) else keys.OTHER

    def contents(self) -> Contents:
        found = {side: keys.pick(keys.ALIASES[side], self, str(self.path)) for side in SIDES}
        sides = {side: self._side(side, key) for side, key in found.items() if key is not None}
        if not sides:
            raise keys.nothing_found(str(self.path), sorted(self.names()))
        return Contents(
            str(self.path),
            sides.get("image"),
            sides.get("text"),
            text_to_image=self._numbers("text_to_image"),
            labels=self._numbers("labels"),
            pairs=self._pairs(),
        )

    def _side(self, side: str, key: str) -> Side:
        array = self._vectors(key)
        n = len(array)
        names = self._column(f"{side}_name")
        prefix = f"{side}_factor_"
        return Side(
            MemoryRows(torch.from_numpy(array)),
            names=None if names is None else _strings(names, self._where(f"{side}_name"), n),
            factors={
                name.removeprefix(prefix): self._factor(name, n)
                for name in self.names()
                if name.startswith(prefix)
            },
            provenance=keys.provenance(self.metadata, side),
            modality=self.metadata.get(f"{side}_modality", side),
        )

    def _vectors(self, key: str) -> NDArray[Any]:
        """(n, d): the rows of a list column before its trailing nulls."""
        where = self._where(key)
        kind = self.schema.field(key).type.value_type
        if not pa.types.is_floating(kind):
            raise FileError(f"{where} must be lists of float16, float32 or float64; found {kind}")
        parts: list[NDArray[Any]] = []
        width, ended, total = None, False, 0
        for batch in self.file.iter_batches(_BATCH, columns=[key]):
            column = batch.column(0)
            there = len(column) - column.null_count
            if (there and ended) or column[:there].null_count:
                raise FileError(f"{where} must have its empty rows at the end; found some before")
            ended = there < len(column)
            if not there:
                continue
            column = column[:there]
            flat = column.flatten()
            if flat.null_count:
                raise FileError(f"{where} must be numbers in every list; found nulls")
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
            width = int(lengths[0]) if width is None else width
            if (lengths != width).any():
                other = int(lengths[lengths != width][0])
                raise FileError(
                    f"{where} must be lists of one length; found lengths {width} and {other}"
                )
            total += flat.nbytes
            check_memory(self.path, 2 * total)  # the parts, and then the whole
            parts.append(flat.to_numpy(zero_copy_only=False).reshape(there, width))
        if not parts:
            return np.empty((0, 1), np.float32)
        return np.concatenate(parts)

    def _column(self, name: str) -> pa.ChunkedArray | None:
        """A column, or None if it is missing or holds nothing."""
        if name not in self.names():
            return None
        column = _read_column(self.path, self.file, name)
        return None if column.null_count == len(column) else column

    def _numbers(self, name: str, n: int | None = None) -> NDArray[Any] | None:
        """Integers before the trailing nulls."""
        column = self._column(name)
        if column is None:
            return None
        there = len(column) - column.null_count if n is None else n
        kind = column.type
        if not pa.types.is_integer(kind) and not pa.types.is_boolean(kind):
            raise FileError(f"{self._where(name)} must be integers; found {kind}")
        if column[:there].null_count or len(column) - there != column.null_count:
            raise FileError(f"{self._where(name)} must have its nulls at the end; found others")
        values: NDArray[Any] = column[:there].to_numpy()
        return values

    def _pairs(self) -> NDArray[np.int64] | None:
        """(k, 2) image and text, from the list of images of each text."""
        column = self._column("pairs")
        if column is None:
            return None
        where, there = self._where("pairs"), len(column) - column.null_count
        kind = column.type
        if not any(test(kind) for test in _LISTS) or not pa.types.is_integer(kind.value_type):
            raise FileError(f"{where} must be lists of integers; found {kind}")
        column = column[:there]
        images = column.combine_chunks().flatten()
        if column.null_count or images.null_count:
            raise FileError(f"{where} must have its nulls at the end; found others")
        counts = pc.list_value_length(column).to_numpy()
        return np.stack([images.to_numpy(), np.repeat(np.arange(there), counts)], 1)

    def _factor(self, name: str, n: int) -> NDArray[Any]:
        column = self._column(name)
        if column is None or column[:n].null_count or len(column) - n != column.null_count:
            raise FileError(
                f"{self._where(name)} must have a value in each of {n} rows; it has not"
            )
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            values: NDArray[Any] = column[:n].to_numpy()
            return values
        return np.array(_strings(column, self._where(name), n), dtype=str)

    def _where(self, name: str) -> str:
        return f"{self.path}: {quoted(name[:80])}"


def _read_column(path: Path, file: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    check_memory(path, 8 * file.metadata.num_rows)  # a few bytes can declare any number of rows
    return file.read([name])[name]


def _strings(column: pa.ChunkedArray, where: str, n: int | None = None) -> list[str]:
    """Strings of a column; a missing one is empty."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise FileError(f"{where} must be strings; found {kind}")
    return [value or "" for value in column[:n].to_pylist()]


def _columns(data: Pair | Embeddings) -> dict[str, NDArray[Any]]:
    """Everything but the vectors: one value a row of its side."""
    found: dict[str, NDArray[Any]] = dict(keys.matches_of(data))
    if isinstance(data, Pair) and data.pairs is not None:
        found["pairs"] = _images_of_texts(data.pairs, data.text.n)
    for side, embeddings in keys.sides_of(data).items():
        if embeddings.names is not None:
            found[f"{side}_name"] = np.array(embeddings.names, dtype=object)
        for name, values in embeddings.factors.items():
            found[f"{side}_factor_{keys.factor_name(name)}"] = values
    return found


def _images_of_texts(pairs: NDArray[np.int64], m: int) -> NDArray[Any]:
    """(m,) the images that match each text, as lists."""
    order = np.argsort(pairs[:, 1], kind="stable")
    found = np.empty(m, dtype=object)
    found[:] = np.split(pairs[order, 0], np.searchsorted(pairs[order, 1], np.arange(1, m)))
    return found


def _column_type(values: NDArray[Any]) -> pa.DataType:
    return pa.int64() if values.dtype.kind == "i" else pa.string()


def _value_type(side: Embeddings) -> pa.DataType:
    kinds = {torch.float16: pa.float16(), torch.float32: pa.float32(), torch.float64: pa.float64()}
    if side.rows.dtype not in kinds:
        raise InputError(
            "must hold float16, float32 or float64; got bfloat16, which .safetensors takes"
        )
    return kinds[side.rows.dtype]


def _lists(side: Embeddings, start: int, stop: int) -> pa.Array:
    """Rows [start, stop) as lists, null beyond the last row."""
    there = max(0, min(side.n, stop) - start)
    missing = pa.nulls(stop - start - there, pa.list_(_value_type(side)))
    if not there:
        return missing
    flat = side.rows.read(start, start + there).contiguous().numpy().reshape(-1)
    offsets = np.arange(0, len(flat) + 1, side.dim, dtype=np.int32)
    rows = pa.ListArray.from_arrays(offsets, pa.array(flat))
    return pa.concat_arrays([rows, missing])


def _padded(values: NDArray[Any], length: int, kind: pa.DataType) -> pa.Array:
    missing = pa.nulls(length - len(values), kind)
    return pa.concat_arrays([pa.array(values, type=kind), missing])
