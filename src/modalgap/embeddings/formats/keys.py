"""The keys and the metadata of ``.npz``, ``.safetensors`` and ``.parquet``, in and out.

A modality NAME has its vectors under ``NAME``, and ``names.NAME`` and ``factors.NAME.FACTOR``;
``matches.A.B`` says which rows of B the rows of A match (docs/format.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.formats import earlier, layout
from modalgap.embeddings.formats.contents import Contents, Matches, Side
from modalgap.embeddings.formats.layout import FACTORS, MATCHES, NAMES, Columns, MatchKeys
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.pair import Pair
from modalgap.errors import FileError, InputError, quoted

FORMAT, VERSION = "modalgap", 3  # the version that is written, and the newest that is read
RESERVED = {NAMES, FACTORS, MATCHES, FORMAT, "__metadata__"}  # no modality may have these names
Data = Pair | Embeddings | Modalities  # what files hold
LONGEST = 200  # characters of the name of a modality or a factor


def decode(file: Columns, source: str, *, table: bool = False) -> Contents:
    """Read the keys that this version knows; ignore the others.

    Args:
        file: the keys, metadata and arrays of one file.
        source: what messages call the file.
        table: whether the file is a table, which had other keys in earlier versions.

    Raises:
        FileError: a newer version, no modality, or keys of a modality that the file does not have.
    """
    metadata = file.metadata
    version = version_of(metadata, source)
    if version == VERSION:
        listed = _modalities(metadata, source)
        found = layout.current(file.names(), listed, metadata, source)
    else:
        ours = {} if version is None else metadata
        found = earlier.layout_of(file, ours, source, table=table)
    sides = {}
    for modality, keys in found.sides.items():
        rows = file.rows(keys.vectors)
        n = rows.shape[0]
        sides[modality] = Side(
            rows,
            names=None if keys.names is None else file.strings(keys.names, n),
            factors={name: file.factor(key, n) for name, key in keys.factors.items()},
            provenance=keys.provenance,
        )
    matches = [_matches(file, each, source) for each in found.matches]
    return Contents(source, sides, [each for each in matches if each is not None])


def version_of(metadata: Mapping[str, str], source: str) -> int | None:
    """The version of the format; None for a file of another program.

    Raises:
        FileError: a version that is newer than this reader, or not a number.
    """
    if metadata.get("format") != FORMAT:
        return None
    version = metadata.get("version", "")
    major = version.split(".")[0]
    if not (major.isascii() and major.isdigit()):
        raise FileError(f"{source}: must give its format version; found {quoted(version[:40])}")
    if len(major) > 9 or int(major) > VERSION:
        raise FileError(
            f"{source}: must be of format version {VERSION} or lower, which this modalgap reads;"
            f" found {quoted(version[:40])}"
        )
    return int(major)


def describe(data: Data) -> dict[str, str]:
    """The metadata of a file."""
    sides = sides_of(data)
    result = {
        "format": FORMAT,
        "version": str(VERSION),
        "modalities": json.dumps(list(sides), ensure_ascii=False),
    }
    for modality, side in sides.items():
        result |= {f"{modality}.{key}": value for key, value in side.provenance.items()}
    return result


def sides_of(data: Data) -> dict[str, Embeddings]:
    """Embeddings by modality, in order.

    Raises:
        InputError: the name of a modality or of a factor cannot be part of a key.
    """
    sides = data.sides
    for side in sides:
        modality_name(side.modality)
        for name in side.factors:
            factor_name(name)
    return {side.modality: side for side in sides}


def matches_of(data: Data) -> dict[tuple[str, str], NDArray[np.int64]]:
    """(A, B) to the matches of A with B: (n,) or (k, 2). Empty if row i matches row i."""
    if isinstance(data, Embeddings) or (isinstance(data, Modalities) and data.by_row):
        return {}
    if isinstance(data, Modalities):
        found: dict[tuple[str, str], NDArray[np.int64]] = {}
        for (a, b), pair in data.matched.items():
            # without a key, two of more than two modalities have no matches
            found |= matches_of(pair) or {(b, a): np.arange(pair.text.n)}
        return found
    first, second = (side.modality for side in data.sides)
    if data.text_to_image is not None:
        return {(second, first): data.text_to_image}
    own = data.labels if data.pairs is None else data.pairs
    return {} if own is None else {(first, second): own}


def modality_name(name: str) -> str:
    """The name of a modality, if it can be a key."""
    problem = _problem(name)
    if problem:
        raise InputError(f"a modality that is to be saved {problem}")
    return name


def factor_name(name: str) -> str:
    """The name of a factor, if it can be part of a key."""
    if not name.isprintable() or len(name) > LONGEST or name.endswith((".bytes", ".offsets")):
        raise InputError(
            f"a factor that is to be saved must have a printable name of at most {LONGEST}"
            f" characters that ends in neither .bytes nor .offsets; got {quoted(name[:60])}"
        )
    return name


def _problem(modality: str) -> str:
    """Why the name of a modality cannot be a key; empty if it can."""
    if modality in RESERVED:
        return f"must not be called {quoted(modality)}, which has a meaning of its own in files"
    if modality and modality.isprintable() and len(modality) <= LONGEST and "." not in modality:
        return ""
    return (
        f"must have a printable name of at most {LONGEST} characters without a dot;"
        f" got {quoted(modality[:60])}"
    )


def _modalities(metadata: Mapping[str, str], source: str) -> list[str]:
    """The modalities that a file lists, in order."""
    text = metadata.get("modalities", "")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise FileError(
            f"{source}: the metadata 'modalities' must be a JSON list of different names;"
            f" found {quoted(text[:80])}"
        )
    for name in names:
        problem = _problem(name)
        if problem:
            raise FileError(f"{source}: a modality {problem}")
    return names


def _matches(file: Columns, keys: MatchKeys, source: str) -> Matches | None:
    """The matches under one key. An empty column of an earlier version counts as none."""
    values, many = file.matches(keys.key), keys.many
    if many is None:
        values = np.zeros(0, np.int64) if values is None else values
        if values.ndim != 1 and (values.ndim != 2 or values.shape[1] != 2):
            raise FileError(
                f"{source}: {quoted(keys.key[:80])} must have shape (n,) or (k, 2);"
                f" found {values.shape}"
            )
        many = values.ndim == 2
    return None if values is None else Matches(keys.own, keys.other, values, many, keys.key)
