"""Read Parquet with image bytes: output of img2dataset, and shards of the Hugging Face hub."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modalgap.data.columns import FIND, NONE, Columns
from modalgap.data.media import Cells, Kind, Media, read_file
from modalgap.data.reading import column, reading
from modalgap.data.source import Source
from modalgap.data.sources.arrow import read_typed
from modalgap.data.sources.shards import absent, check_whole
from modalgap.data.sources.table import PATHS
from modalgap.data.sources.typed import (
    Fits,
    features_of,
    holds_bytes,
    holds_string,
    null_cells,
)
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_sizes import VALUE, read_columns, rows_at_once
from modalgap.errors import FileError, quoted
from modalgap.files import check_expansion

ROWS = 64  # cells in memory at once
BUFFER = 2**20  # bytes per read of a file
SMALL = 2**26  # bytes of a column that a process keeps in memory, for rows in any order
Stamp = tuple[int, int]  # nanoseconds, bytes


def read_parquet(files: Sequence[Path], name: str, columns: Columns = FIND) -> Source:
    """Read rows of image bytes with captions or classes, or of captions only.

    Args:
        files: shards; they must have the same types in the columns to read.
        name: common name.
        columns: the columns to read.

    Raises:
        FileError: a file is incomplete, neither a column of bytes nor one of captions, or a column
            of a type that cannot be read.
    """
    with reading(name):
        check_whole(files)
        found = read_typed(ParquetTable(files, name), columns, "Parquet")
        lost, notes = absent(files) if name != str(files[0]) else ([], [])
    return replace(found, missing=(*lost, *found.missing), notes=(*notes, *found.notes))


def names_files(path: Path, columns: Columns) -> bool:
    """Whether a Parquet file has a column of image paths, and none of image bytes."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    if columns.image == NONE or any(holds_bytes(kind) for kind in schema.types):
        return False
    text = [field.name for field in schema if holds_string(field.type)]
    if columns.image is not None:
        return columns.image in text
    return column(text, PATHS, None, "paths") is not None


class ParquetTable:
    """Parquet files as one table; a column is read on first access.

    Args:
        files: the shards; those without rows are skipped.
        name: common name.

    Raises:
        FileError: a file is not Parquet, or is truncated.
    """

    def __init__(self, files: Sequence[Path], name: str) -> None:
        self.name, self.files = name, list(files)
        self.shards: list[Path] = []
        self.starts: list[tuple[int, int, int]] = []  # shard, row group, first row
        self.schemas: list[pa.Schema] = []
        self.types: dict[str, pa.DataType] = {}
        self.features: dict[str, dict[str, Any]] = {}
        self.rows = 0
        for path in files:
            self._add(path)
        self.starts.append((len(self.shards), 0, self.rows))
        self.stamps = [_stamp(path) for path in self.shards]

    def _add(self, path: Path) -> None:
        try:
            with opened(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())[:160]
            raise FileError(f"{path}: must be a complete Parquet file ({reason})") from error
        for name, count in Counter(schema.names).items():
            if count > 1:
                raise FileError(
                    f"{path}: columns must have distinct names; {quoted(name)} occurs twice"
                )
        for field in schema:
            if field.name not in self.types or pa.types.is_null(self.types[field.name]):
                self.types[field.name] = field.type
        self.features = features_of(schema.metadata) | self.features
        if not metadata.num_rows:
            return
        for group in range(metadata.num_row_groups):
            self.starts.append((len(self.shards), group, self.rows))
            self.rows += metadata.row_group(group).num_rows
        check_expansion(path, path.stat().st_size, VALUE * metadata.num_rows)
        self.shards.append(path)
        self.schemas.append(schema)

    def __len__(self) -> int:
        return self.rows

    def values(self, column: str) -> list[Any]:
        """The values of a column as Python objects, one per row."""
        result: list[Any] = []
        for path in self.shards:
            with opened(path) as file:
                result += read_columns(path, file, [column]).column(column).to_pylist()
        return result

    def cells(self, column: str, names: Sequence[str], kind: Kind) -> Media:
        """The items of a column of bytes; a row group is read when one of its rows is needed.

        A small column is read as a whole on first access.
        """
        stamped = tuple(zip(self.shards, self.stamps, strict=True))
        starts = np.array(self.starts, np.int64)
        read = functools.partial(_cell, stamped, starts, column, small=self._is_small(column))
        return Cells(read, names, kind, self.files)

    def _is_small(self, column: str) -> bool:
        total = 0
        for path in self.shards:
            with opened(path) as file:
                groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            leaves = [group.column(i) for group in groups for i in range(group.num_columns)]
            total += sum(
                leaf.total_uncompressed_size
                for leaf in leaves
                if leaf.path_in_schema.partition(".")[0] == column
            )
        return total <= SMALL

    def nulls(self, column: str) -> NDArray[np.int64]:  # noqa: ARG002
        """No rows: in Parquet nulls are found when items are read; the encoder skips them."""
        return np.empty(0, np.int64)

    def null_rows(self, column: str) -> NDArray[np.int64]:
        """Rows whose cell holds neither bytes nor a path; the column is read if it has nulls."""
        found: list[NDArray[np.bool_]] = []
        for path in self.shards:
            with opened(path, pre_buffer=False, buffer_size=BUFFER) as file:
                if _without_nulls(file.metadata, column):
                    found.append(np.zeros(file.metadata.num_rows, bool))
                    continue
                rows = rows_at_once(path, file, column, ROWS)
                cells = file.iter_batches(batch_size=rows, columns=[column])
                found += [null_cells(batch.column(0)) for batch in cells]
        return np.flatnonzero(np.concatenate(found)) if found else np.empty(0, np.int64)

    def check(self, column: str, fits: Fits, what: str) -> None:
        """Check that every file has the column with a type that fits.

        Raises:
            FileError: a file does not; the message names it.
        """
        for path, schema in zip(self.shards, self.schemas, strict=True):
            if column not in schema.names:
                owner = next(
                    p for p, s in zip(self.shards, self.schemas, strict=True) if column in s.names
                )
                raise FileError(
                    f"{path}: must have the column {quoted(column)}, as {owner.name} has"
                )
            kind = schema.field(column).type
            if not pa.types.is_null(kind) and not fits(kind):
                raise FileError(f"{path}: column {quoted(column)} must hold {what}; it is {kind}")


def _without_nulls(metadata: Any, column: str) -> bool:
    """Whether the statistics of a file say that the bytes of a column are never null."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        leaves = [group.column(i) for i in range(group.num_columns)]
        own = [leaf for leaf in leaves if leaf.path_in_schema in (column, f"{column}.bytes")]
        known = [leaf.statistics for leaf in own]
        if not known or any(each is None or each.null_count != 0 for each in known):
            return False
    return True


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


class _Group:
    """The cells of one row group, a batch of rows at a time: a group can hold a whole data set.

    Rows are read in order. Reading a row before the current batch starts the group again.
    """

    def __init__(self, path: Path, stamp: Stamp, group: int, name: str) -> None:
        if _stamp(path) != stamp:  # its captions may have changed
            raise FileError(f"{path} has changed since it was listed")
        self.path, self.group, self.name = path, group, name
        self._start()

    def _start(self) -> None:
        file = opened(self.path, pre_buffer=False, buffer_size=BUFFER)
        rows = rows_at_once(self.path, file, self.name, ROWS, self.group)
        self.batches = file.iter_batches(
            rows, row_groups=[self.group], columns=[self.name], use_threads=False
        )
        self.first, self.cells = 0, pa.array([])

    def cell(self, row: int) -> Any:
        """The value of a row of the group."""
        if row < self.first:
            self._start()
        while row >= self.first + len(self.cells):
            self.first += len(self.cells)
            self.cells = next(self.batches).column(0)
        return self.cells[row - self.first].as_py()


_group = functools.lru_cache(maxsize=2)(_Group)  # one or two open groups per worker


@functools.lru_cache(maxsize=1)
def _kept(files: tuple[tuple[Path, Stamp], ...], name: str) -> pa.Array | None:
    """A whole column; None if it is damaged, or longer than its files say."""
    found: list[pa.Array] = []
    left = 2 * SMALL
    try:
        for path, stamp in files:
            if _stamp(path) != stamp:
                return None
            with opened(path, pre_buffer=False, buffer_size=BUFFER) as file:
                rows = rows_at_once(path, file, name, ROWS)
                for batch in file.iter_batches(rows, columns=[name], use_threads=False):
                    found.append(batch.column(0))
                    left -= found[-1].nbytes
                    if left < 0:
                        return None
        return pa.concat_arrays(found)
    except (OSError, pa.ArrowException):
        return None


def _cell(
    files: tuple[tuple[Path, Stamp], ...],
    starts: NDArray[np.int64],
    name: str,
    position: int,
    *,
    small: bool,
) -> bytes:
    at = int(np.searchsorted(starts[:, 2], position, side="right")) - 1
    number, group, first = map(int, starts[at])
    column = _kept(files, name) if small else None
    if column is not None:
        value = column[position].as_py()
    else:
        try:
            value = _group(*files[number], group, name).cell(position - first)
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"cannot be read ({error})") from error
    return item_bytes(value, files[number][0].parent)


def item_bytes(value: Any, folder: Path) -> bytes:
    """The bytes of a cell: its own bytes, or those of the file that it names.

    Args:
        value: bytes, or a mapping of ``bytes`` and ``path`` as in ``datasets``.
        folder: the folder that relative paths start from.

    Raises:
        FileError: the cell has neither, or the file cannot be read.
    """
    path = None
    if isinstance(value, dict):
        value, path = value.get("bytes"), value.get("path")
    if isinstance(value, bytes):
        return value
    if value is None and isinstance(path, str) and path:
        return read_file(folder / path)
    raise FileError("no image: the cell holds no bytes")
