"""The arrays of ``.npz`` and ``.safetensors``, which hold numbers only.

A list of strings under KEY is two arrays: ``KEY.bytes``, the UTF-8 of all strings, and
``KEY.offsets``, where each begins and ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings.formats import keys
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.layout import STRINGS, Named, factor_key, match_key, names_key
from modalgap.embeddings.formats.stream import Stream
from modalgap.embeddings.rows import Rows
from modalgap.embeddings.strings import JoinedStrings, blocks
from modalgap.errors import FileError, quoted

PARTS = ("bytes", "offsets")
DTYPES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.int64): torch.int64}  # of these


class Tensors(Named, Protocol):
    """A file of named arrays."""

    def array(self, key: str) -> NDArray[Any]:
        """Any array of numbers or strings, in memory."""
        ...

    def form(self, key: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Dtype, in native byte order, and shape of an array of numbers."""
        ...

    def vector(self, key: str) -> Rows:
        """An array (n,) of uint8 or int64 as rows (n, 1), in the file where they can stay there."""
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
        stored = [f"{key}.{part}" for part in PARTS]
        forms = [self.tensors.form(each) for each in stored]
        if [(str(kind), len(shape)) for kind, shape in forms] != [("uint8", 1), ("int64", 1)]:
            found = " and ".join(f"{kind} {shape}" for kind, shape in forms)
            raise FileError(
                f"{where} must be uint8 .bytes and int64 .offsets of one dimension; found {found}"
            )
        data, offsets = map(self.tensors.vector, stored)
        return JoinedStrings(data, offsets, where)

    def factor(self, key: str, n: int) -> NDArray[Any]:
        if key in self.stored and self.tensors.kind(key) != STRINGS:
            return self.tensors.array(key)
        return np.array(list(self.strings(key, n)), dtype=str)

    def matches(self, key: str) -> NDArray[Any]:
        self._check_stored(key)
        return self.tensors.array(key)

    def _check_stored(self, key: str) -> None:
        if key not in self.stored:
            raise FileError(f"{self.source}: {quoted(key[:80])} must be numbers; found strings")


def encode(data: keys.Data) -> dict[str, Rows | NDArray[Any] | Stream]:
    """Every array of a file by its key, vectors first."""
    sides = keys.sides_of(data)
    result: dict[str, Rows | NDArray[Any] | Stream] = {
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


def _encode_strings(key: str, values: Sequence[str]) -> dict[str, Rows | NDArray[Any] | Stream]:
    """The two arrays of a list of strings, which may not fit in memory: each is one more pass."""

    def encoded() -> Iterator[list[bytes]]:
        return ([value.encode() for value in block] for block in blocks(values))

    def data() -> Iterator[NDArray[Any]]:
        return (np.frombuffer(b"".join(block), np.uint8) for block in encoded())

    def offsets() -> Iterator[NDArray[Any]]:
        end = 0
        yield np.zeros(1, np.int64)
        for block in encoded():
            ends = end + np.cumsum(np.fromiter(map(len, block), np.int64, len(block)))
            end = int(ends[-1])
            yield ends

    length = sum(len(each) for block in encoded() for each in block)
    return {
        f"{key}.bytes": Stream((length,), np.dtype(np.uint8), data),
        f"{key}.offsets": Stream((len(values) + 1,), np.dtype(np.int64), offsets),
    }


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
