"""The arrays of ``.npz`` and ``.safetensors``, which hold numbers only.

A list of strings under KEY is two arrays: ``KEY.bytes``, the UTF-8 of all strings, and
``KEY.offsets``, where each begins and ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.formats import keys
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.layout import STRINGS, Named, factor_key, match_key, names_key
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import Rows
from modalgap.errors import FileError, quoted

PARTS = ("bytes", "offsets")


class Tensors(Named, Protocol):
    """A file of named arrays."""

    def array(self, key: str) -> NDArray[Any]:
        """Any array of numbers or strings, in memory."""
        ...


def decode(tensors: Tensors, source: str) -> Contents:
    """Read the keys that this version knows; ignore the others."""
    return keys.decode(_Flat(tensors, source), source)


class _Flat:
    """The ``layout.Columns`` of a file of named arrays."""

    def __init__(self, tensors: Tensors, source: str) -> None:
        self.tensors, self.source = tensors, source
        self.stored = set(tensors.names())
        self.logical = {_without_part(key) for key in self.stored}

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.tensors.metadata

    def names(self) -> Collection[str]:
        return self.logical

    def kind(self, key: str) -> str:
        return self.tensors.kind(key) if key in self.stored else STRINGS

    def rows(self, key: str) -> Rows:
        self._check_stored(key)
        return self.tensors.rows(key)

    def strings(self, key: str, _: int) -> Sequence[str]:
        """The strings under ``key``, however many: bytes and offsets, or an array of strings."""
        where = f"{self.source}: {quoted(key[:80])}"
        if key in self.stored:
            return _plain_strings(self.tensors.array(key), where)
        has = [part for part in PARTS if f"{key}.{part}" in self.stored]
        if len(has) == 1:
            raise FileError(f"{where} must have both .bytes and .offsets; found .{has[0]} only")
        data, offsets = (self.tensors.array(f"{key}.{part}") for part in PARTS)
        return _joined_strings(data, offsets, where)

    def factor(self, key: str, n: int) -> NDArray[Any]:
        if key in self.stored and self.tensors.kind(key) != STRINGS:
            return self.tensors.array(key)
        return np.array(self.strings(key, n), dtype=str)

    def matches(self, key: str) -> NDArray[Any]:
        self._check_stored(key)
        return self.tensors.array(key)

    def _check_stored(self, key: str) -> None:
        if key not in self.stored:
            raise FileError(f"{self.source}: {quoted(key[:80])} must be numbers; found strings")


def encode(data: Pair | Embeddings) -> dict[str, Rows | NDArray[Any]]:
    """Every array of a file by its key, vectors first."""
    sides = keys.sides_of(data)
    result: dict[str, Rows | NDArray[Any]] = {
        modality: side.rows for modality, side in sides.items()
    }
    result |= {match_key(*two): values for two, values in keys.matches_of(data).items()}
    for modality, side in sides.items():
        if side.names is not None:
            result |= _encode_strings(names_key(modality), side.names)
        for name, values in side.factors.items():
            key = factor_key(modality, name)
            result |= (
                _encode_strings(key, values.tolist()) if values.dtype.kind == "U" else {key: values}
            )
    return result


def _without_part(key: str) -> str:
    """Turn the key of either array of a list of strings into the key of the list."""
    for part in PARTS:
        key = key.removesuffix(f".{part}")
    return key


def _encode_strings(key: str, values: Sequence[str]) -> dict[str, Rows | NDArray[Any]]:
    encoded = [value.encode() for value in values]
    offsets = np.fromiter(itertools.accumulate(map(len, encoded), initial=0), np.int64)
    return {
        f"{key}.bytes": np.frombuffer(b"".join(encoded), np.uint8),
        f"{key}.offsets": offsets,
    }


def _joined_strings(data: NDArray[Any], offsets: NDArray[Any], where: str) -> list[str]:
    if data.dtype != np.uint8 or data.ndim != 1 or offsets.dtype != np.int64 or offsets.ndim != 1:
        raise FileError(
            f"{where} must be uint8 .bytes and int64 .offsets of one dimension;"
            f" found {data.dtype} {data.shape} and {offsets.dtype} {offsets.shape}"
        )
    if (
        len(offsets) == 0
        or offsets[0] != 0
        or offsets[-1] != len(data)
        or (offsets[1:] < offsets[:-1]).any()
    ):
        raise FileError(
            f"{where} must have .offsets that rise from 0 to {len(data)}, the length of its .bytes;"
            " found other offsets"
        )
    whole, ends = data.tobytes(), offsets.tolist()
    try:
        return [whole[a:b].decode() for a, b in itertools.pairwise(ends)]
    except UnicodeDecodeError as error:
        raise FileError(f"{where} must be UTF-8; found other bytes") from error


def _plain_strings(array: NDArray[Any], where: str) -> list[str]:
    """The strings of a numpy array, which may hold invalid code points."""
    if array.dtype.kind != "U" or array.ndim != 1:
        raise FileError(
            f"{where} must be strings, one per row; found {array.dtype} of shape {array.shape}"
        )
    try:
        values: list[str] = array.tolist()
        "".join(values).encode()
    except (ValueError, SystemError) as error:
        raise FileError(f"{where} must be valid Unicode; found other code points") from error
    return values
