"""The flat keys that ``.npz`` and ``.safetensors`` share, in and out (docs/format.md).

A tensor format holds numbers only: strings are UTF-8 bytes and offsets, provenance is a mapping of
strings to strings.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings.formats.contents import MATCHES, SIDES, Contents, Side
from modalgap.embeddings.pair import Embeddings, Pair
from modalgap.embeddings.rows import Rows
from modalgap.errors import FileError, InputError, quoted

FORMAT, VERSION = "modalgap", "2"  # the newest that is read
WITH_PAIRS = "2"  # what a reader of version 1 would take as row i matching row i
ALIASES = {
    "image": (
        "image", "images", "img", "img_emb", "image_emb", "image_embeds",
        "image_embeddings", "image_features",
    ),
    "text": (
        "text", "texts", "txt", "text_emb", "text_embeds", "text_embeddings", "text_features",
        "caption_embeddings", "captions_embeddings",
    ),
}  # fmt: skip
MATRIX, STRINGS, OTHER = "matrix", "strings", "other"


class Named(Protocol):
    """What choosing a key needs of a file."""

    def names(self) -> Collection[str]:
        """Every key."""
        ...

    def kind(self, key: str) -> str:
        """MATRIX (two dimensions of numbers), STRINGS or OTHER."""
        ...


class Tensors(Named, Protocol):
    """What decoding needs of a file of named arrays."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Strings about the file as a whole."""
        ...

    def rows(self, key: str) -> Rows:
        """A matrix of floats, in the file or in memory."""
        ...

    def array(self, key: str) -> NDArray[Any]:
        """Any array of numbers or strings, in memory."""
        ...


def decode(tensors: Tensors, source: str) -> Contents:
    """Read the keys we know; ignore the others."""
    metadata = own(tensors.metadata, source)
    found = {side: pick(ALIASES[side], tensors, source) for side in SIDES}
    sides = {
        side: Side(
            tensors.rows(key),
            names=_strings(tensors, f"{side}_names", source),
            factors=_factors(tensors, f"{side}_factor_", source),
            provenance=provenance(metadata, side),
            modality=metadata.get(f"{side}_modality", side),
        )
        for side, key in found.items()
        if key is not None
    }
    if not sides:
        raise nothing_found(source, sorted(tensors.names()))
    matches = {key: tensors.array(key) if key in tensors.names() else None for key in MATCHES}
    return Contents(source, sides.get("image"), sides.get("text"), **matches)


def pick(aliases: Sequence[str], tensors: Named, source: str) -> str | None:
    """The one alias that the file uses, or None; captions as plain strings do not count."""
    present = [key for key in aliases if key in tensors.names()]
    present = [key for key in present if tensors.kind(key) != STRINGS]
    if len(present) > 1:
        present = [key for key in present if tensors.kind(key) == MATRIX]
    if len(present) > 1:
        raise FileError(f"{source}: must name each modality once; found {' and '.join(present)}")
    return present[0] if present else None


def nothing_found(source: str, found: Sequence[str]) -> FileError:
    """The error for a file with neither modality."""
    shown = ", ".join(repr(name[:40]) for name in found[:8]) or "nothing"
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return FileError(
        f"{source}: must hold vectors under 'image' or 'text' (or a usual name such as"
        f" 'image_embeds', 'text_features'); found {shown}{more}"
    )


def own(metadata: Mapping[str, str], source: str) -> Mapping[str, str]:
    """The metadata of a file of ours; nothing from other people's files.

    Raises:
        FileError: a file of ours that is newer than this reader.
    """
    if metadata.get("format") != FORMAT:
        return {}
    version = metadata.get("version", "")
    major = version.split(".")[0]
    if not (major.isascii() and major.isdigit()):
        raise FileError(f"{source}: must give its format version; found {quoted(version[:40])}")
    if len(major) > 9 or int(major) > int(VERSION):
        raise FileError(
            f"{source}: must be of format version {VERSION}, the newest that this modalgap reads;"
            f" found {quoted(version[:40])}"
        )
    return metadata


def provenance(metadata: Mapping[str, str], side: str) -> dict[str, str]:
    """``image.model`` in a file of ours is the provenance ``model`` of the images."""
    prefix = f"{side}."
    return {
        key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)
    }


def describe(data: Pair | Embeddings) -> dict[str, str]:
    """The metadata of a file of ours."""
    pairs = isinstance(data, Pair) and data.pairs is not None
    found = {"format": FORMAT, "version": WITH_PAIRS if pairs else "1"}
    for side, embeddings in sides_of(data).items():
        found[f"{side}_modality"] = embeddings.modality
        found |= {f"{side}.{key}": value for key, value in embeddings.provenance.items()}
    return found


def encode(data: Pair | Embeddings) -> dict[str, Rows | NDArray[Any]]:
    """Every key of a file, vectors first."""
    found: dict[str, Rows | NDArray[Any]] = {}
    sides = sides_of(data)
    for side, embeddings in sides.items():
        found[side] = embeddings.rows
    found |= matches_of(data)
    for side, embeddings in sides.items():
        if embeddings.names is not None:
            found |= _encode_strings(f"{side}_names", embeddings.names)
        for name, values in embeddings.factors.items():
            key = f"{side}_factor_{factor_name(name)}"
            found |= (
                _encode_strings(key, values.tolist()) if values.dtype.kind == "U" else {key: values}
            )
    return found


def matches_of(data: Pair | Embeddings) -> dict[str, NDArray[np.int64]]:
    """The matches of a pair by key; nothing where row i matches row i."""
    kinds = {key: getattr(data, key) for key in MATCHES} if isinstance(data, Pair) else {}
    return {key: value for key, value in kinds.items() if value is not None}


def sides_of(data: Pair | Embeddings) -> dict[str, Embeddings]:
    """Embeddings by key. One modality lies under ``text`` if it is text, else under ``image``."""
    if isinstance(data, Pair):
        return {"image": data.image, "text": data.text}
    return {"text" if data.modality == "text" else "image": data}


def factor_name(name: str) -> str:
    """A name that can be part of a key."""
    if not name.isprintable() or len(name) > 200 or name.endswith((".bytes", ".offsets")):
        raise InputError(
            "a factor that is to be saved must have a printable name of at most 200 characters"
            f" that ends in neither .bytes nor .offsets; got {quoted(name[:60])}"
        )
    return name


def _encode_strings(key: str, values: Sequence[str]) -> dict[str, Rows | NDArray[Any]]:
    encoded = [value.encode() for value in values]
    offsets = np.fromiter(itertools.accumulate(map(len, encoded), initial=0), np.int64)
    return {
        f"{key}.bytes": np.frombuffer(b"".join(encoded), np.uint8),
        f"{key}.offsets": offsets,
    }


def _strings(tensors: Tensors, key: str, source: str) -> list[str] | None:
    """Strings under ``key``: bytes and offsets, or a plain array of strings."""
    names = tensors.names()
    if key in names:
        return plain_strings(tensors.array(key), f"{source}: {quoted(key)}")
    has = [part for part in ("bytes", "offsets") if f"{key}.{part}" in names]
    if not has:
        return None
    where = f"{source}: {quoted(key[:80])}"
    if len(has) == 1:
        raise FileError(f"{where} must have both .bytes and .offsets; found .{has[0]} only")
    data, offsets = (tensors.array(f"{key}.{part}") for part in has)
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
            f" found others"
        )
    whole, ends = data.tobytes(), offsets.tolist()
    try:
        return [whole[a:b].decode() for a, b in itertools.pairwise(ends)]
    except UnicodeDecodeError as error:
        raise FileError(f"{where} must be UTF-8; found other bytes") from error


def plain_strings(array: NDArray[Any], where: str) -> list[str]:
    """The strings of a numpy array, which may hold code points that no string may."""
    if array.dtype.kind != "U" or array.ndim != 1:
        raise FileError(
            f"{where} must be strings, one a row; found {array.dtype} of shape {array.shape}"
        )
    try:
        values: list[str] = array.tolist()
        "".join(values).encode()
    except (ValueError, SystemError) as error:
        raise FileError(f"{where} must be valid Unicode; found other code points") from error
    return values


def _factors(tensors: Tensors, prefix: str, source: str) -> dict[str, Any]:
    keys = {
        key.removesuffix(".bytes").removesuffix(".offsets")
        for key in tensors.names()
        if key.startswith(prefix)
    }
    found: dict[str, Any] = {}
    for key in sorted(keys):
        if key in tensors.names() and tensors.kind(key) != STRINGS:
            found[key.removeprefix(prefix)] = tensors.array(key)
        else:
            strings = _strings(tensors, key, source)
            found[key.removeprefix(prefix)] = np.array(strings, dtype=str)
    return found
