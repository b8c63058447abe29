"""Shards: the contents of several files as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings.formats.contents import SIDES, Contents, Side
from modalgap.embeddings.pair import CHUNK
from modalgap.embeddings.rows import Rows, concatenate
from modalgap.errors import FileError, InputError, quoted


def join(parts: Sequence[Contents]) -> Contents:
    """One after the other, in the order given; those without rows are left out.

    Rows, names and factors follow one another; row numbers in ``text_to_image`` and ``pairs``
    count on through the shards. Shards that are matched by labels share one set of class prompts.

    Raises:
        FileError: shards that do not fit together, named.
    """
    if len(parts) == 1:
        return parts[0]
    source, count = f"{parts[0].source} … {parts[-1].source}", len(parts)
    parts = [part for part in parts if any(s.rows.shape[0] for s in part.sides.values())]
    if not parts:
        raise FileError(f"{source}: must hold at least one row; all {count} shards are empty")
    first = parts[0]
    for part in parts[1:]:
        _agree(first, part, "modalities", " and ".join(first.sides), " and ".join(part.sides))
    kinds = {part.matched_by for part in parts}
    for part in parts:
        if len(part.sides) < 2 and part.matched_by != "rows":
            raise FileError(
                f"{part.source}: {part.matched_by} needs images and texts; found one of them"
            )
    several = "pairs" in kinds and "labels" not in kinds  # of pairs, the others are special cases
    for part in parts[1:]:
        if not several:
            _agree(first, part, "kind of match", first.matched_by, part.matched_by)
    if "labels" in kinds:
        return _join_labelled(parts, source)
    for part in parts:
        if part.matched_by == "rows" and len(first.sides) == 2:
            _same_length(part)
    sides = {side: _join_side(parts, side, source) for side in SIDES if side in first.sides}
    matches: dict[str, Any] = {}
    if several:
        matches["pairs"] = _pairs_of_all(parts)
    elif first.text_to_image is not None:
        matches["text_to_image"] = _count_on(parts)
    return Contents(source, sides.get("image"), sides.get("text"), **matches)


def integers(values: Any, where: str, limit: int) -> NDArray[np.int64]:
    """Indices (k,) into ``limit`` rows; a shard may not point into the next one."""
    found = np.asarray(values)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise FileError(
            f"{where} must be integers of one dimension; found {found.dtype} {found.shape}"
        )
    wrong = np.flatnonzero((found < 0) | (found >= limit))
    if len(wrong):
        row = int(wrong[0])
        raise FileError(f"{where} must lie in 0 … {limit - 1}; row {row} holds {found[row]}")
    return found.astype(np.int64)


def _agree(first: Contents, other: Contents, what: str, one: object, two: object) -> None:
    if one != two:
        raise FileError(
            f"{first.source} and {other.source}: shards must have the same {what};"
            f" found {one or 'none'} and {two or 'none'}"
        )


def _same_length(part: Contents) -> None:
    n, m = (side.rows.shape[0] for side in part.sides.values())
    if n != m:
        raise FileError(
            f"{part.source}: row i matches row i, so both modalities need the same number of rows;"
            f" found {n} and {m}"
        )


def _count_on(parts: Sequence[Contents]) -> NDArray[np.int64]:
    before, found = 0, []
    for part in parts:
        found.append(_owners(part) + before)
        before += part.sides["image"].rows.shape[0]
    return np.concatenate(found)


def _owners(part: Contents) -> NDArray[np.int64]:
    """(m,) the image of each text of a shard."""
    n, m = part.sides["image"].rows.shape[0], part.sides["text"].rows.shape[0]
    where = f"{part.source}: 'text_to_image'"
    index = integers(part.text_to_image, where, n)
    if len(index) != m:
        raise FileError(f"{where} must have {m} values, one per text; found {len(index)}")
    return index


def _pairs_of_all(parts: Sequence[Contents]) -> NDArray[np.int64]:
    """(k, 2) image and text, counted through all shards."""
    before, found = np.zeros(2, np.int64), []
    for part in parts:
        n, m = part.sides["image"].rows.shape[0], part.sides["text"].rows.shape[0]
        if part.matched_by == "rows":
            rows = np.stack([np.arange(n)] * 2, 1)
        elif part.matched_by == "text_to_image":
            rows = np.stack([_owners(part), np.arange(m)], 1)
        else:
            where = f"{part.source}: 'pairs'"
            given = np.asarray(part.pairs)
            if given.ndim != 2 or given.shape[1] != 2:
                raise FileError(f"{where} must have shape (k, 2); found {given.shape}")
            rows = np.stack([integers(given[:, 0], where, n), integers(given[:, 1], where, m)], 1)
        found.append(rows + before)
        before += (n, m)
    return np.concatenate(found)


def _join_labelled(parts: Sequence[Contents], source: str) -> Contents:
    first, labels = parts[0], []
    prompts = first.sides["text"]
    for part in parts:
        if not _same(prompts.rows, part.sides["text"].rows):
            raise FileError(
                f"{first.source} and {part.source}: shards with labels must hold the same class"
                " prompts; found others"
            )
        where = f"{part.source}: 'labels'"
        index = integers(part.labels, where, prompts.rows.shape[0])
        n = part.sides["image"].rows.shape[0]
        if len(index) != n:
            raise FileError(f"{where} must have {n} values, one an image; found {len(index)}")
        labels.append(index)
    return Contents(
        source, _join_side(parts, "image", source), prompts, labels=np.concatenate(labels)
    )


def _same(one: Rows, two: Rows) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    n = one.shape[0]
    return all(
        torch.equal(one.read(a, min(n, a + CHUNK)), two.read(a, min(n, a + CHUNK)))
        for a in range(0, n, CHUNK)
    )


def _join_side(parts: Sequence[Contents], key: str, source: str) -> Side:
    some = [part for part in parts if part.sides[key].rows.shape[0]]
    parts = some or parts[:1]  # nulls of any type stand for the names of no rows
    sides = [part.sides[key] for part in parts]
    first = sides[0]
    for part, side in zip(parts, sides, strict=True):
        _agree(parts[0], part, f"name of the {key}s", first.modality or key, side.modality or key)
        _agree(
            parts[0],
            part,
            f"{key} factors",
            ", ".join(sorted(first.factors)),
            ", ".join(sorted(side.factors)),
        )
        _agree(
            parts[0],
            part,
            f"{key} names",
            "some" if first.names is not None else "none",
            "some" if side.names is not None else "none",
        )
        _lengths(part.source, key, side)
    try:
        rows = concatenate([side.rows for side in sides], f"{source} ({key})")
    except InputError as error:
        raise FileError(str(error)) from error
    return Side(
        rows,
        names=None if first.names is None else [n for side in sides for n in side.names or ()],
        factors={
            name: _column(
                [side.factors[name] for side in sides], f"{source}: factor {quoted(name)}"
            )
            for name in first.factors
        },
        provenance={  # what holds for every shard
            name: value
            for name, value in first.provenance.items()
            if all(side.provenance.get(name) == value for side in sides)
        },
        modality=first.modality,
    )


def _lengths(source: str, key: str, side: Side) -> None:
    """Names and factors that are too short in one shard would slip to the next."""
    n = side.rows.shape[0]
    columns = {"names": side.names, **side.factors}
    for name, values in columns.items():
        if values is not None and len(values) != n:
            raise FileError(
                f"{source}: {key} {quoted(name)} must have {n} values; found {len(values)}"
            )


def _column(parts: Sequence[Any], where: str) -> NDArray[Any]:
    """One column; integers in one shard and strings in another would all turn to strings."""
    arrays = [np.asarray(part) for part in parts]
    if len({array.dtype.kind == "U" for array in arrays}) > 1:
        raise FileError(f"{where} must be integers or strings in every shard; found both")
    if any(array.ndim != 1 for array in arrays):
        raise FileError(f"{where} must have one dimension; found more")
    return np.concatenate(arrays)
