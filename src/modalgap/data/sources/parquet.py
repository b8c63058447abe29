"""Parquet with images as bytes: img2dataset's output, and Hugging Face's image columns."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.data.columns import FIND, Columns
from modalgap.data.media import Cells
from modalgap.data.reading import column, fitting, reading
from modalgap.data.source import Source
from modalgap.data.sources.table import CAPTIONS, SAID
from modalgap.errors import FileError

BYTES = ("jpg", "jpeg", "png", "webp", "image", "img", "bytes", "image_bytes", "audio", "images")
SEEN = ("jpg", "jpeg", "png", "webp", "image", "images", "img", "image_bytes", "audio")
KEYS = ("key", "id", "__key__", "name", "filename", "url", "uid")
Stamp = tuple[int, int]  # nanoseconds, bytes


def read_parquet(
    files: Sequence[Path],
    name: str,
    columns: Columns = FIND,
) -> Source:
    """Rows of image bytes and a caption, or a list of captions.

    Raises:
        FileError: no column of bytes and none of captions, one of a type that cannot be read, or
            files with other columns.
    """
    with reading(name):
        stamps = [_stamp(path) for path in files]
        opened = [pq.ParquetFile(path) for path in files]
        schema = opened[0].schema_arrow
        for path, each in zip(files, opened, strict=True):
            if not each.schema_arrow.equals(schema):
                raise FileError(f"{path}: must have the columns of {files[0]}")
        holders = [field.name for field in schema if _holds_bytes(field.type)]
        types = {field.name: str(field.type) for field in schema}
        said_in = [field.name for field in schema if _is_text(field.type, lists=True)]
        texts = fitting(types, said_in, CAPTIONS, columns.text, "captions", SAID)
        images = fitting(types, holders, BYTES, columns.image, "the bytes of images", SEEN)
        images = images or next(iter(holders), None)
        if images is None and texts is None:
            raise FileError(
                f"must have a column of image bytes or captions; found {', '.join(schema.names)}"
            )
        said = _read(files, texts) if texts is not None else None
        if images is None:
            flat = [text for each in said or () for text in each]
            return Source(name=name, texts=flat, files=tuple(files))
        plain = [field.name for field in schema if _is_text(field.type)]
        keys = column(plain, KEYS, None, "keys")
        named = [each[0] if each else "" for each in _read(files, keys)] if keys else []
        starts = _starts(opened)
        reader = functools.partial(_cell, tuple(zip(files, stamps, strict=True)), starts, images)
        total = int(starts[-1][2])
        names = [f"{named[i]} (row {i})" if named else f"row {i}" for i in range(total)]
        media = Cells(reader, names, files=tuple(files))
        if said is None:
            return Source(name=name, media=media)
        return Source(
            name=name,
            media=media,
            texts=[text for each in said for text in each],
            text_to_image=np.repeat(np.arange(total), [len(each) for each in said]),
        )


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):  # Hugging Face: {"bytes", "path"}
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    kinds = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(is_of(kind) for is_of in kinds)


def _is_text(kind: pa.DataType, *, lists: bool = False) -> bool:
    """Whether values are strings or, where ``lists``, lists of strings; not lists of lists."""
    several = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if lists and any(is_of(kind) for is_of in several):
        return _is_text(kind.value_type)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_of(kind) for is_of in strings)


def _read(files: Sequence[Path], name: str) -> list[list[str]]:
    """A column of strings, or of lists of strings, as lists."""
    found: list[list[str]] = []
    for path in files:
        for value in pq.read_table(path, columns=[name]).column(name).to_pylist():
            several = value if isinstance(value, list) else [value]
            found.append([str(each) for each in several if each is not None])
    return found


def _starts(opened: Sequence[pq.ParquetFile]) -> list[tuple[int, int, int]]:
    """(file, row group, first row), and at the end (., ., number of rows)."""
    starts, row = [], 0
    for number, file in enumerate(opened):
        for group in range(file.num_row_groups):
            starts.append((number, group, row))
            row += file.metadata.row_group(group).num_rows
    return [*starts, (len(opened), 0, row)]


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=2)  # rows are asked for in order: a group is read once a worker
def _group(path: Path, stamp: Stamp, group: int, name: str) -> Any:
    if _stamp(path) != stamp:  # its captions may be others
        raise FileError(f"{path} has changed since it was listed")
    return pq.ParquetFile(path).read_row_group(group, columns=[name]).column(name)


def _cell(
    files: tuple[tuple[Path, Stamp], ...],
    starts: list[tuple[int, int, int]],
    name: str,
    position: int,
) -> bytes:
    firsts = [first for _, _, first in starts]
    at = int(np.searchsorted(firsts, position, side="right")) - 1
    number, group, first = starts[at]
    try:
        value = _group(*files[number], group, name)[position - first].as_py()
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"cannot be read ({error})") from error
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes):
        raise FileError("holds no bytes")
    return found
