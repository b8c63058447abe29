"""Parquet with images as bytes: img2dataset's output, and Hugging Face's image columns."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.data.media import Cells
from modalgap.data.reading import column, reading
from modalgap.data.source import Source
from modalgap.data.sources.table import CAPTIONS
from modalgap.errors import FileError

BYTES = ("jpg", "jpeg", "png", "webp", "image", "img", "bytes", "image_bytes", "audio", "images")
KEYS = ("key", "id", "__key__", "name", "filename", "url", "uid")


def read_parquet(
    files: Sequence[Path],
    name: str,
    image_column: str | None = None,
    text_column: str | None = None,
) -> Source:
    """Rows of image bytes and a caption, or a list of captions.

    Raises:
        FileError: no column of bytes and none of captions, or files with other columns.
    """
    with reading(name):
        opened = [pq.ParquetFile(path) for path in files]
        schema = opened[0].schema_arrow
        for path, each in zip(files, opened, strict=True):
            if not each.schema_arrow.equals(schema):
                raise FileError(f"{path}: must have the columns of {files[0]}")
        holders = [field.name for field in schema if _holds_bytes(field.type)]
        images = column(holders, BYTES, image_column, "images") or next(iter(holders), None)
        texts = column(_strings(schema), CAPTIONS, text_column, "captions")
        if images is None and texts is None:
            raise FileError(
                f"must have a column of image bytes or captions; found {', '.join(schema.names)}"
            )
        said = _read(files, texts) if texts is not None else None
        if images is None:
            flat = [text for each in said or () for text in each]
            return Source(name=name, texts=flat)
        keys = column(_strings(schema), KEYS, None, "keys")
        named = [each[0] if each else "" for each in _read(files, keys)] if keys else []
        starts = _starts(opened)
        reader = functools.partial(_cell, tuple(files), starts, images)
        total = int(starts[-1][2])
        names = [f"{named[i]} (row {i})" if named else f"row {i}" for i in range(total)]
        media = Cells(reader, names)
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
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _strings(schema: pa.Schema) -> list[str]:
    def texts(kind: pa.DataType) -> bool:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
            return texts(kind.value_type)
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

    return [field.name for field in schema if texts(field.type)]


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


@functools.lru_cache(maxsize=2)  # rows are asked for in order: a group is read once a worker
def _group(path: Path, group: int, name: str) -> Any:
    return pq.ParquetFile(path).read_row_group(group, columns=[name]).column(name)


def _cell(
    files: tuple[Path, ...], starts: list[tuple[int, int, int]], name: str, position: int
) -> bytes:
    firsts = [first for _, _, first in starts]
    at = int(np.searchsorted(firsts, position, side="right")) - 1
    number, group, first = starts[at]
    try:
        value = _group(files[number], group, name)[position - first].as_py()
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"cannot be read ({error})") from error
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes):
        raise FileError("holds no bytes")
    return found
