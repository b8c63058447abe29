"""``.safetensors``: vectors stay in the file until they are read.

The safetensors library validates the header, which says where each tensor lies.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from modalgap import files, ranges
from modalgap.embeddings.formats import flat, keys
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.layout import MATRIX, OTHER
from modalgap.embeddings.formats.stream import Stream, arrays
from modalgap.embeddings.mapped import mapped
from modalgap.embeddings.rows import FileRows, Rows
from modalgap.errors import FileError, InputError, quoted
from modalgap.files import parsing, regular_file
from modalgap.remote import Location, Remote

LONGEST_HEADER = 16 * 2**20
_FLOATS = {
    "F16": ("<f2", torch.float16),
    "F32": ("<f4", torch.float32),
    "F64": ("<f8", torch.float64),
    "BF16": ("<i2", torch.bfloat16),  # as bits: numpy has no bfloat16
}
_NUMBERS = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_DTYPES = {dtype: name for name, (_, dtype) in _FLOATS.items()}


def read(path: Location) -> Contents:
    """Read a file of modalgap, or of another program with common keys."""
    size = regular_file(path)
    with parsing(path, "safetensors"):
        return flat.decode(_File(path, size), str(path))


def write(
    data: keys.Data, file: IO[bytes], more: Mapping[str, NDArray[Any]] | None = None
) -> Iterator[int]:
    """Write ``data`` chunk by chunk, and the arrays ``more``; yield the number of rows written.

    Raises:
        InputError: a key of ``more`` that ``data`` needs, or a header that is too long.
    """
    tensors = flat.encode(data)
    for key in sorted(set(more or {}) & set(tensors)):
        raise InputError(f"modality must not be {quoted(key)}, which is another key of this file")
    tensors |= dict(more or {})
    vectors = keys.sides_of(data)
    # wide types first, so that every tensor starts at a multiple of its item size
    order = sorted(tensors, key=lambda key: (-_itemsize(tensors[key]), key))
    header: dict[str, Any] = {"__metadata__": keys.describe(data)}
    end = 0
    for key in order:
        value = tensors[key]
        begin, end = end, end + math.prod(value.shape) * _itemsize(value)
        header[key] = {
            "dtype": _dtype(value),
            "shape": list(value.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise InputError(
            f"provenance must fit in a header of {LONGEST_HEADER} bytes; got {len(text)}"
        )
    file.write(len(text).to_bytes(8, "little") + text)
    for key in order:
        for array in arrays(tensors[key]):
            file.write(array.tobytes())
            yield len(array) if key in vectors else 0


class _File:
    """The named arrays of one file."""

    def __init__(self, path: Location, size: int) -> None:
        self.path = path
        if size < 8:
            raise FileError(
                f"{path}: must start with 8 bytes, the length of its header; found a file of {size}"
                " bytes: it is truncated"
            )
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(LONGEST_HEADER, size - 8):
                raise FileError(
                    f"{path}: must have a header of at most {min(LONGEST_HEADER, size - 8)} bytes;"
                    f" its first 8 bytes declare {length}"
                )
            text = file.read(length)
        with _local(path, text, size) as local, safe_open(local, framework="np"):
            header = json.loads(text)  # refused before: gaps, overlaps, lengths that do not fit
        self.start = 8 + length
        self.metadata: Mapping[str, str] = header.pop("__metadata__", None) or {}
        self.entries: dict[str, Any] = header

    def names(self) -> Collection[str]:
        return self.entries.keys()

    def kind(self, key: str) -> str:
        return MATRIX if len(self.entries[key]["shape"]) == 2 else OTHER

    def rows(self, key: str) -> Rows:
        entry = self.entries[key]
        shape = tuple(entry["shape"])
        if entry["dtype"] not in _FLOATS or len(shape) != 2:
            raise FileError(
                f"{self.path}: {quoted(key)} must be float16, bfloat16, float32 or float64 of two"
                f" dimensions; found {entry['dtype']} of shape {shape}"
            )
        kind, dtype = _FLOATS[entry["dtype"]]
        begin = self.start + entry["data_offsets"][0]
        return FileRows(self.path, begin, np.dtype(kind), shape, dtype)

    def array(self, key: str) -> NDArray[Any]:
        kind, begin, shape = self._place(key)
        if isinstance(self.path, Remote):
            return ranges.array(self.path, kind, begin, shape)
        if math.prod(shape) * kind.itemsize > max(files.SMALL, 0):
            return mapped(self.path, kind, begin, shape)
        return np.fromfile(self.path, kind, math.prod(shape), offset=begin).reshape(shape)

    def form(self, key: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        kind, _, shape = self._place(key)
        return kind.newbyteorder("="), shape

    def vector(self, key: str) -> Rows:
        kind, begin, (n,) = self._place(key)
        return FileRows(self.path, begin, kind, (n, 1), flat.DTYPES[kind.newbyteorder("=")])

    def _place(self, key: str) -> tuple[np.dtype[Any], int, tuple[int, ...]]:
        """Dtype, first byte and shape of an array of numbers."""
        entry = self.entries[key]
        if entry["dtype"] not in _NUMBERS:
            raise FileError(
                f"{self.path}: {quoted(key[:80])} must be numbers; found {entry['dtype']}"
            )
        begin = self.start + entry["data_offsets"][0]
        return np.dtype(_NUMBERS[entry["dtype"]]), begin, tuple(entry["shape"])


@contextmanager
def _local(path: Location, header: bytes, size: int) -> Iterator[str | Path]:
    """A local file for the library; of a remote one it has the header, and zeros as data."""
    if not isinstance(path, Remote):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(size)  # a sparse file, which takes no space on disk
        file.flush()
        yield file.name


def _itemsize(value: Rows | NDArray[Any] | Stream) -> int:
    return value.dtype.itemsize


def _dtype(value: Rows | NDArray[Any] | Stream) -> str:
    if isinstance(value.dtype, np.dtype):
        names = {np.uint8: "U8", np.int64: "I64", np.float32: "F32"}
        return names[value.dtype.type]
    return _DTYPES[value.dtype]
