"""Matching: which rows of two modalities match, as arrays of row numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modalgap.embeddings.mapped import Mapped
from modalgap.embeddings.rows import refuse_mask
from modalgap.errors import InputError

Ints = NDArray[np.int64]
KINDS = ("text_to_image", "labels", "pairs")  # how a Pair can be matched, besides row by row
NAMES = ("images", "texts")
BLOCK = 2**20  # row numbers that are checked at a time: those of a file may not fit in memory


def array(values: object, what: str) -> NDArray[Any]:
    """A numpy array of any array-like.

    Raises:
        InputError: rows of several lengths, a mask, or a dtype that numpy lacks.
    """
    refuse_mask(values, what)
    if isinstance(values, Mapped):
        return values
    try:
        return values.numpy(force=True) if isinstance(values, Tensor) else np.asarray(values)
    except (ValueError, TypeError) as error:  # ragged, or a dtype that numpy lacks
        raise InputError(f"{what}: must be one flat array; numpy says: {error}") from None


def matches_of(
    matches: Mapping[str, object], n: int, m: int, names: tuple[str, str] = NAMES
) -> dict[str, Ints]:
    """Matches as a ``Pair`` stores them: checked, and in the simplest of the equivalent forms.

    Args:
        matches: at most one of ``text_to_image``, ``labels`` and ``pairs``.
        n: number of images.
        m: number of texts.
        names: what messages call the images and the texts.

    Returns:
        ``text_to_image`` (m,), ``labels`` (n,) or ``pairs`` (k, 2); nothing where row i matches
        row i. Pairs that give each text one image become ``text_to_image``.

    Raises:
        InputError: a wrong dtype or shape, no match at all, or a number out of range.
    """
    result: dict[str, Ints] = {}
    images, texts = names
    if "text_to_image" in matches:
        what = "text_to_image"
        result[what] = index_of(matches[what], what, m, n, texts, images)
    if "labels" in matches:
        result["labels"] = index_of(matches["labels"], "labels", n, m, images, texts)
    if "pairs" in matches:
        pairs = pairs_of(matches["pairs"], "pairs", n, m, names)
        owner = image_of_each(pairs, m)
        if owner is None:
            result["pairs"] = pairs
        elif n != m or not in_order(owner, 1):
            result["text_to_image"] = owner
    return result


def index_of(values: object, what: str, length: int, limit: int, own: str, other: str) -> Ints:
    """One row number for each item of a side: (length,) integers in 0 … limit - 1.

    Args:
        values: the row numbers.
        what: the name of the argument, for messages.
        length: number of items of this side.
        limit: number of rows of the other side.
        own: what messages call the items of this side.
        other: what messages call the items of the other side.

    Raises:
        InputError: a wrong dtype or shape, or a number out of range.
    """
    index = array(values, what)
    if index.dtype.kind not in "iu":
        raise InputError(f"{what}: must hold integers; got {index.dtype}")
    if index.shape != (length,):
        raise InputError(
            f"{what}: must have shape ({length},), one for each of the {own}; got {index.shape}"
        )
    row = first_beyond(index, limit)
    if row is not None:
        raise InputError(
            f"{what}: must lie in 0 … {limit - 1} (the {other}); row {row} holds {index[row]}"
        )
    return _int64(index)


def pairs_of(values: object, what: str, n: int, m: int, names: tuple[str, str] = NAMES) -> Ints:
    """Matches (k, 2) of an image and a text each, sorted by image, then text, each once.

    Args:
        values: (k, 2) row numbers, in any order; a match may be repeated.
        what: the name of the argument, for messages.
        n: number of images.
        m: number of texts.
        names: what messages call the images and the texts.

    Raises:
        InputError: a wrong dtype or shape, no match at all, or a number out of range.
    """
    found = array(values, what)
    if found.ndim != 2 or found.shape[1] != 2:
        raise InputError(
            f"{what}: must have shape (k, 2), rows of the {names[0]} and of the {names[1]};"
            f" got {found.shape}"
        )
    if not len(found):
        raise InputError(f"{what}: must hold at least one match; got none")
    if found.dtype.kind not in "iu":
        raise InputError(f"{what}: must hold integers; got {found.dtype}")
    for column, (limit, side) in enumerate(zip((n, m), names, strict=True)):
        row = first_beyond(found[:, column], limit)
        if row is not None:
            raise InputError(
                f"{what}: column {column} must lie in 0 … {limit - 1} (the {side}); row {row}"
                f" holds {found[row, column]}"
            )
    if _rising(found):
        return _int64(found)
    flat = np.unique(found[:, 0].astype(np.int64) * m + found[:, 1].astype(np.int64))
    return np.stack(np.divmod(flat, m), 1)


def image_of_each(pairs: Ints, m: int) -> Ints | None:
    """(m,) the image of each text, or None where a text has no image, or several."""
    if len(pairs) != m:
        return None
    owner = np.full(m, -1)
    owner[pairs[:, 1]] = pairs[:, 0]
    return None if owner.min() < 0 else owner  # one that is missing: another occurs twice


def in_order(index: Ints, each: int) -> bool:
    """Whether an index is 0, 1, 2, … with every number ``each`` times."""
    spans = ((a, min(len(index), a + BLOCK)) for a in range(0, len(index), BLOCK))
    return all(np.array_equal(index[a:b], np.arange(a, b) // each) for a, b in spans)


def first_beyond(index: NDArray[Any], limit: int) -> int | None:
    """The first place of an index that does not lie in 0 … limit - 1; None if all do."""
    for start in range(0, len(index), BLOCK):
        part = index[start : start + BLOCK]
        wrong = np.flatnonzero((part < 0) | (part >= limit))
        if len(wrong):
            return start + int(wrong[0])
    return None


def _rising(pairs: NDArray[Any]) -> bool:
    """Whether pairs (k, 2) are sorted by the first number, then the second, each once."""
    for start in range(0, len(pairs), BLOCK):
        one, two = pairs[start : start + BLOCK + 1].astype(np.int64).T
        if not ((one[1:] > one[:-1]) | ((one[1:] == one[:-1]) & (two[1:] > two[:-1]))).all():
            return False
    return True


def _int64(values: NDArray[Any]) -> Ints:
    """A copy as int64, or the values themselves if they lie in a file."""
    if isinstance(values, Mapped) and values.dtype == np.int64:
        return values
    return np.array(values, np.int64, order="C")


def only_match(own: Ints, other: Ints, size: int) -> Ints | None:
    """The one match of each item of a side, or None where an item has several.

    Args:
        own: (k,) row of this side in each match.
        other: (k,) row of the other side.
        size: rows of this side.

    Returns:
        (size,) rows of the other side; items without a match have numbers beyond all of these.
    """
    if len(np.unique(own)) < len(own):
        return None
    result = np.arange(size) + int(other.max()) + 1
    result[own] = other
    return result


def components(pairs: Ints, n: int, m: int) -> tuple[Ints, Ints]:
    """Groups of items that share no match with items of another group.

    An image and a text are in one group if they match, directly or through other items. An item
    without a match is a group of its own.

    Args:
        pairs: (k, 2) image and text of each match.
        n: number of images.
        m: number of texts.

    Returns:
        The group of each image (n,) and of each text (m,), numbered by their first image.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = (pairs[:, 0], pairs[:, 1] + n)
    graph = coo_array((np.ones(len(pairs), np.int8), edges), shape=(n + m, n + m))
    _, found = connected_components(graph, directed=False)
    _, first, codes = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    groups = number[codes.reshape(-1)]
    return groups[:n], groups[n:]


def distinct(pairs: Ints, n: int, m: int) -> Ints:
    """Rows of ``pairs`` such that no chosen image matches the text of another chosen row.

    Images are taken in order, each with its first text that is still free.

    Args:
        pairs: (k, 2) image and text of each match, sorted by image, then text.
        n: number of images.
        m: number of texts.
    """
    starts = np.searchsorted(pairs[:, 0], np.arange(n + 1)).tolist()
    order = np.argsort(pairs[:, 1], kind="stable")
    images = pairs[order, 0].tolist()
    ends = np.searchsorted(pairs[order, 1], np.arange(m + 1)).tolist()
    texts = pairs[:, 1].tolist()
    free_image, free_text = [True] * n, [True] * m
    chosen = []
    for image in range(n):
        rows = range(starts[image], starts[image + 1])
        row = next((i for i in rows if free_text[texts[i]]), None) if free_image[image] else None
        if row is None:
            continue
        chosen.append(row)
        for i in rows:
            free_text[texts[i]] = False
        for i in range(ends[texts[row]], ends[texts[row] + 1]):
            free_image[images[i]] = False
    return np.array(chosen, np.int64)
