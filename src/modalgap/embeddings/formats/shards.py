"""Shards: the contents of several files as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings import strings
from modalgap.embeddings.formats.contents import Contents, Matches, Side
from modalgap.embeddings.matching import first_beyond
from modalgap.embeddings.rows import CHUNK, Rows, concatenate
from modalgap.errors import FileError, InputError, quoted
from modalgap.modality import listed


def join(parts: Sequence[Contents]) -> Contents:
    """Join shards in the order of ``parts``; those without rows are left out.

    Rows, names and factors are concatenated. Row numbers in matches count the rows of their own
    shard, and are shifted. Shards that are matched by labels share one set of class prompts.

    Raises:
        FileError: shards that do not fit together, which the message names; or shards of more than
            two modalities that are not matched by row.
    """
    if len(parts) == 1:
        return parts[0]
    source, count = f"{parts[0].source} … {parts[-1].source}", len(parts)
    parts = [part for part in parts if any(s.rows.shape[0] for s in part.sides.values())]
    if not parts:
        raise FileError(f"{source}: must hold at least one row; all {count} shards are empty")
    first = parts[0]
    for part in parts:
        if len(part.sides) > 2 and part.matches:
            raise FileError(
                f"{part.source}: a shard of more than two modalities must match by row; found"
                f" {part.matches[0].key} for {', '.join(part.sides)}"
            )
        _agree(first, part, "modalities", " and ".join(first.sides), " and ".join(part.sides))
        if len(part.sides) < 2 and part.matches:
            raise FileError(
                f"{part.source}: {part.matches[0].key} needs two modalities; found one of them"
            )
    kinds = {part.matched_by for part in parts}
    several = "pairs" in kinds and "labels" not in kinds  # the other kinds are special cases
    for part in parts[1:]:
        if not several:
            _agree(first, part, "kind of match", first.matched_by, part.matched_by)
    if "labels" in kinds:
        return _join_labelled(parts, source)
    for part in parts:
        if part.matched_by == "rows" and len(first.sides) > 1:
            _same_length(part)
    sides = {key: _join_side(parts, key, source) for key in first.sides}
    if kinds == {"rows"}:
        return Contents(source, sides)
    one, two = sides
    values = _pairs_of_all(parts, one, two) if several else _count_on(parts, one)
    own, other = (one, two) if several else (two, one)
    return Contents(source, sides, [Matches(own, other, values, several, _key(parts))])


def beside(parts: Sequence[Contents]) -> Contents:
    """Files of different modalities as one: their modalities and matches, in order.

    Row i of each file belongs to item i.

    Raises:
        FileError: a file that holds matches, which say nothing of the other files.
    """
    for part in parts:
        if part.matches:
            raise FileError(
                f"{part.source}: must hold no matches, as it is read together with files of other"
                f" modalities by row; found {part.matches[0].key}"
            )
    source = " and ".join(part.source for part in parts)
    sides = {
        name: replace(side, source=part.source)
        for part in parts
        for name, side in part.sides.items()
    }
    return Contents(source, sides)


def integers(values: Any, where: str, limit: int) -> NDArray[np.int64]:
    """Indices (k,) into ``limit`` rows; a shard may not point into the next one."""
    found: NDArray[Any] = np.asarray(values)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        raise FileError(
            f"{where} must be integers of one dimension; found {found.dtype} {found.shape}"
        )
    row = first_beyond(found, limit)
    if row is not None:
        raise FileError(f"{where} must lie in 0 … {limit - 1}; row {row} holds {found[row]}")
    return found.astype(np.int64, copy=False)


def _agree(first: Contents, other: Contents, what: str, one: object, two: object) -> None:
    if one != two:
        raise FileError(
            f"{first.source} and {other.source}: shards must have the same {what};"
            f" found {one or 'none'} and {two or 'none'}"
        )


def _same_length(part: Contents) -> None:
    sizes = [side.rows.shape[0] for side in part.sides.values()]
    if len(set(sizes)) > 1:
        raise FileError(
            f"{part.source}: row i matches row i, so {'both' if len(sizes) == 2 else 'all'}"
            f" modalities need the same number of rows; found {listed([str(n) for n in sizes])}"
        )


def _key(parts: Sequence[Contents]) -> str:
    """What messages call the matches of all shards."""
    return next(each.key for part in parts for each in part.matches)


def _count_on(parts: Sequence[Contents], one: str) -> NDArray[np.int64]:
    """(m,) the first modality's row for each row of the second, counted over all shards."""
    lengths = [len(part.matches[0].values) for part in parts]
    before, done, found = 0, 0, np.empty(sum(lengths), np.int64)
    for part, length in zip(parts, lengths, strict=True):
        np.add(_of_each(part, part.matches[0]), before, out=found[done : done + length])
        before += part.sides[one].rows.shape[0]
        done += length
    return found


def _of_each(part: Contents, match: Matches) -> NDArray[np.int64]:
    """(n,) the row of the other modality for each row of a shard."""
    n, limit = (part.sides[key].rows.shape[0] for key in (match.own, match.other))
    where = f"{part.source}: {quoted(match.key)}"
    index = integers(match.values, where, limit)
    if len(index) != n:
        raise FileError(f"{where} must have {n} values, one per {match.own}; found {len(index)}")
    return index


def _pairs_of_all(parts: Sequence[Contents], one: str, two: str) -> NDArray[np.int64]:
    """(k, 2) rows of both modalities, counted over all shards."""
    before, found = np.zeros(2, np.int64), []
    for part in parts:
        n, m = part.sides[one].rows.shape[0], part.sides[two].rows.shape[0]
        if not part.matches:
            rows = np.stack([np.arange(n)] * 2, 1)
        elif not part.matches[0].many:
            rows = np.stack([_of_each(part, part.matches[0]), np.arange(m)], 1)
        else:
            match = part.matches[0]
            where = f"{part.source}: {quoted(match.key)}"
            pairs = np.asarray(match.values)
            if pairs.ndim != 2 or pairs.shape[1] != 2:
                raise FileError(f"{where} must have shape (k, 2); found {pairs.shape}")
            if match.own == two:
                pairs = pairs[:, ::-1]
            rows = np.stack([integers(pairs[:, 0], where, n), integers(pairs[:, 1], where, m)], 1)
        found.append(rows + before)
        before += (n, m)
    return np.concatenate(found)


def _join_labelled(parts: Sequence[Contents], source: str) -> Contents:
    first = parts[0]
    one, two = first.sides
    prompts = first.sides[two]
    for part in parts:
        if not _same(prompts.rows, part.sides[two].rows):
            raise FileError(
                f"{first.source} and {part.source}: shards with labels must hold the same class"
                " prompts; found different ones"
            )
    labels = np.concatenate([_of_each(part, part.matches[0]) for part in parts])
    sides = {one: _join_side(parts, one, source), two: prompts}
    return Contents(source, sides, [Matches(one, two, labels, many=False, key=_key(parts))])


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
    parts = some or parts[:1]  # shards without rows may have columns of another type
    sides = [part.sides[key] for part in parts]
    first = sides[0]
    for part, side in zip(parts, sides, strict=True):
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
        names=None if first.names is None else strings.concatenate([s.names or () for s in sides]),
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
        named=all(side.named for side in sides),
    )


def _lengths(source: str, key: str, side: Side) -> None:
    """Refuse names and factors of a wrong length, which would move to rows of the next shard."""
    n = side.rows.shape[0]
    columns = {"names": side.names, **side.factors}
    for name, values in columns.items():
        if values is not None and len(values) != n:
            raise FileError(
                f"{source}: {key} {quoted(name)} must have {n} values; found {len(values)}"
            )


def _column(parts: Sequence[Any], where: str) -> NDArray[Any]:
    """One column; integers in one shard and strings in another are refused."""
    arrays = [np.asarray(part) for part in parts]
    if len({array.dtype.kind == "U" for array in arrays}) > 1:
        raise FileError(f"{where} must be integers or strings in every shard; found both")
    if any(array.ndim != 1 for array in arrays):
        raise FileError(f"{where} must have one dimension; found more")
    return np.concatenate(arrays)
