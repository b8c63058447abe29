"""Types of columns in Parquet and Arrow tables: images, captions, labels and factors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modalgap.data.media import Kind, Media
from modalgap.data.objects import inner_key

Fits = Callable[[pa.DataType], bool]


class Typed(Protocol):
    """A table of typed columns; columns of images are not read to list the rows."""

    @property
    def name(self) -> str:
        """The name of the table, for messages."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """The files of the table."""
        ...

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The type of each column."""
        ...

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """The features of ``datasets``, by column, if they are known."""
        ...

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def values(self, column: str) -> list[Any]:
        """The values of a column as Python objects, one per row."""
        ...

    def cells(self, column: str, names: Sequence[str], kind: Kind) -> Media:
        """The items of a column of bytes, to be read one by one."""
        ...

    def nulls(self, column: str) -> NDArray[np.int64]:
        """Rows without an item, if this is known without reading the items."""
        ...

    def check(self, column: str, fits: Fits, what: str) -> None:
        """Check the type of the column in every file.

        Raises:
            FileError: a file lacks the column, or has it with a type that does not fit.
        """
        ...


def features_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """The features that ``datasets`` stores in the metadata of a schema, by column."""
    try:
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: each for name, each in found.items() if isinstance(each, dict)}


def class_names(feature: Mapping[str, Any] | None) -> list[str] | None:
    """The names of the classes of a ClassLabel, or None."""
    if not feature or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return names


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, or structs with bytes as ``datasets`` stores images."""
    kind = _plain(kind)
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
    kinds = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(is_of(kind) for is_of in kinds)


def null_cells(chunk: pa.Array) -> NDArray[np.bool_]:
    """Whether each cell holds neither bytes nor a path; only the validity bits are read."""
    missing: NDArray[np.bool_] = chunk.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_struct(chunk.type):
        inside = np.ones(len(chunk), bool)
        for name in ("bytes", "path"):
            if chunk.type.get_field_index(name) >= 0:
                inside &= chunk.field(name).is_null().to_numpy(zero_copy_only=False)
        missing = missing | inside
    return missing


def holds_string(kind: pa.DataType) -> bool:
    """Whether values are strings."""
    kind = _plain(kind)
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_of(kind) for is_of in strings)


def holds_captions(kind: pa.DataType) -> bool:
    """Whether values are strings, lists of strings, or structs with one of these inside."""
    if pa.types.is_struct(kind):
        return _inner_fits(kind, lambda inner: holds_string(inner) or _list_of(inner, holds_string))
    return holds_string(kind) or _list_of(
        kind, lambda item: holds_string(item) or _inner_fits(item, holds_string)
    )


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether values are integers or floating-point numbers."""
    kind = _plain(kind)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def holds_labels(kind: pa.DataType) -> bool:
    """Whether values can be labels: numbers or names."""
    return holds_numbers(kind) or holds_string(kind)


def holds_factor(kind: pa.DataType) -> bool:
    """Whether values can be a factor: numbers, strings, booleans, dates."""
    kind = _plain(kind)
    others = (pa.types.is_boolean, pa.types.is_null, pa.types.is_temporal, pa.types.is_decimal)
    return holds_labels(kind) or any(bool(is_of(kind)) for is_of in others)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _list_of(kind: pa.DataType, fits: Fits) -> bool:
    several = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(bool(is_of(kind)) for is_of in several) and fits(kind.value_type)


def _inner_fits(kind: pa.DataType, fits: Fits) -> bool:
    if not pa.types.is_struct(kind):
        return False
    key = inner_key([field.name for field in kind])
    return key is not None and fits(kind.field(key).type)
