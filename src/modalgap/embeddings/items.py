"""Items: which rows of several modalities belong to one item, as arrays of row numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings.matching import Ints, array
from modalgap.errors import InputError, NotApplicable

MOST = 10**8  # tuples that are worked out; more are a mistake in the matches


def ids_of(values: object, what: str, n: int) -> NDArray[np.int64] | NDArray[np.str_]:
    """The item id of each row of a modality: (n,) integers or strings.

    Args:
        values: the ids.
        what: the name of the argument, for messages.
        n: rows of the modality.

    Raises:
        InputError: a wrong dtype or shape.
    """
    found = array(values, what)
    if found.dtype.kind not in "iuU" or found.shape != (n,):
        raise InputError(
            f"{what}: must be integers or strings of shape ({n},), one per row;"
            f" got {found.dtype} {found.shape}"
        )
    return found.astype(str) if found.dtype.kind == "U" else found.astype(np.int64)


def common(one: NDArray[np.generic], two: NDArray[np.generic]) -> Ints:
    """(k, 2) rows of two modalities that have the same item id, sorted by the first.

    Args:
        one: (n,) ids of the first modality; an id may occur several times.
        two: (m,) ids of the second.
    """
    order = np.argsort(two, kind="stable")
    first = np.searchsorted(two[order], one, "left")
    counts = np.searchsorted(two[order], one, "right") - first
    return _expanded(first, counts, order)


def tuples(sizes: Sequence[int], edges: Mapping[tuple[int, int], Ints]) -> Ints:
    """(t, N) rows of the items that have all N modalities, sorted.

    Args:
        sizes: rows of each modality.
        edges: (a, b), a before b, to the matches (k, 2) of modalities a and b. In a tuple, every
            two modalities that have matches do match. Two modalities without an entry are
            connected by the others.

    Raises:
        NotApplicable: more than 10⁸ tuples.
    """
    nothing = np.empty((0, len(sizes)), np.int64)
    both = {**edges, **{(b, a): pairs[:, ::-1] for (a, b), pairs in edges.items()}}
    placed, found = [0], np.arange(sizes[0])[:, None]
    while len(placed) < len(sizes):
        step = next(
            ((a, b) for a, b in both if a in placed and b not in placed),
            None,
        )
        if step is None:  # some modality matches none of the others
            return nothing
        a, b = step
        pairs = both[step][np.argsort(both[step][:, 0], kind="stable")]
        own = found[:, placed.index(a)]
        first = np.searchsorted(pairs[:, 0], own, "left")
        counts = np.searchsorted(pairs[:, 0], own, "right") - first
        if counts.sum() > MOST:
            raise NotApplicable(
                f"the matches form more than {MOST:,} tuples of all modalities; pass items= with"
                " one id per item"
            )
        where = _expanded(first, counts, pairs[:, 1])
        found = np.column_stack([found[where[:, 0]], where[:, 1]])
        placed.append(b)
        for other in placed[:-1]:
            if other != a and (other, b) in both:
                known = both[other, b] @ np.array([sizes[b], 1])
                asked = found[:, [placed.index(other), len(placed) - 1]] @ np.array([sizes[b], 1])
                found = found[np.isin(asked, known)]
    found = found[:, np.argsort(placed)]
    return found[np.lexsort(found.T[::-1])]


def clusters(sizes: Sequence[int], edges: Mapping[tuple[int, int], Ints]) -> list[Ints]:
    """The group of each row of each modality: rows that matches connect are in one group.

    Args:
        sizes: rows of each modality.
        edges: (a, b) to the matches (k, 2) of modalities a and b.

    Returns:
        (n,) for each modality; groups are numbered by their first row, in the order of modalities.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.concatenate([[0], np.cumsum(sizes)])
    ends = [pairs + starts[[a, b]] for (a, b), pairs in edges.items()]
    all_ends = np.concatenate([*ends, np.empty((0, 2), np.int64)]).astype(np.int64)
    total = int(starts[-1])
    graph = coo_array(
        (np.ones(len(all_ends), np.int8), (all_ends[:, 0], all_ends[:, 1])), shape=(total, total)
    )
    _, found = connected_components(graph, directed=False)
    _, first, codes = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return np.split(number[codes.reshape(-1)], starts[1:-1])


def _expanded(first: Ints, counts: Ints, values: Ints) -> Ints:
    """(k, 2): row i, and each of values[first[i]] … values[first[i] + counts[i] - 1]."""
    rows = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    at = np.arange(len(rows)) - np.repeat(before, counts) + np.repeat(first, counts)
    return np.stack([rows, values[at]], 1)
