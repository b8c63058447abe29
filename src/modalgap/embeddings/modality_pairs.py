"""The pairs of two or more modalities: by row, by item id, or by listed matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modalgap.embeddings import items as rows_of_items
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.matching import array, index_of, pairs_of
from modalgap.embeddings.pair import Pair
from modalgap.errors import InputError, OptionError, quoted
from modalgap.modality import listed, plural

NAMES = "names"  # items= of this value: the names of the rows are the ids of the items


def checked_sides(
    sides: Iterable[Embeddings] | Mapping[str, Embeddings | ArrayLike],
) -> list[Embeddings]:
    """The embeddings of each modality: at least two, of different names and of one width."""
    if isinstance(sides, Mapping):
        found = []
        for name, side in sides.items():
            made = side if isinstance(side, Embeddings) else Embeddings(side, name)
            if made.modality != name:
                raise InputError(
                    f"sides: each name must be the modality of its Embeddings;"
                    f" got {quoted(made.modality)} under {quoted(name)}"
                )
            found.append(made)
    else:
        found = list(sides)
    names = [side.modality for side in found]
    if len(found) < 2:
        raise InputError(f"sides: must be at least two modalities; got {len(found)}")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"sides: modalities must have different names; two are {quoted(name)}")
        if len(names) > 2 and "." in name:
            raise InputError(
                f"sides: the names of three or more modalities must have no dot, which separates"
                f" them in names of numbers; got {quoted(name)}"
            )
    if len({side.dim for side in found}) > 1:
        widths = listed([str(side.dim) for side in found])
        raise InputError(
            f"{listed([side.source for side in found])}: must have the same width; got {widths}"
        )
    return found


def by_row(known: Mapping[str, Embeddings]) -> dict[tuple[str, str], Pair]:
    """The pairs of each two modalities, where row i of each belongs to item i."""
    if len({side.n for side in known.values()}) > 1:
        raise InputError(
            f"{listed([side.source for side in known.values()])}: without matches or items, row i"
            " of each belongs to item i, so all need the same number of rows;"
            f" got {listed([str(side.n) for side in known.values()])}"
        )
    return {(a, b): Pair(known[a], known[b]) for a, b in combinations(known, 2)}


def by_item(
    known: Mapping[str, Embeddings], items: Mapping[str, ArrayLike] | str
) -> dict[tuple[str, str], Pair]:
    """The pairs of each two modalities that have items in common, from the item id of each row."""
    if isinstance(items, str):
        if items != NAMES:
            raise OptionError(f"items: must be a mapping or 'names'; got {quoted(items)}")
        lacking = [side.source for side in known.values() if side.names is None]
        if lacking:
            raise InputError(f"items: 'names' needs names of every row; {lacking[0]} has none")
        items = {name: np.array(side.names) for name, side in known.items()}
    for name in items:
        _known_name(known, name, "items")
    ids = {}
    for name, side in known.items():
        if name not in items:
            raise InputError(f"items: must have the ids of every modality; {quoted(name)} has none")
        ids[name] = rows_of_items.ids_of(items[name], f"items: {quoted(name)}", side.n)
    if len({each.dtype.kind for each in ids.values()}) > 1:
        raise InputError("items: ids must be integers or strings in every modality; got both")
    pairs = {(a, b): rows_of_items.common(ids[a], ids[b]) for a, b in combinations(known, 2)}
    return {
        (a, b): _simplest(Pair(known[a], known[b], pairs=rows))
        for (a, b), rows in pairs.items()
        if len(rows)
    }


def by_matches(
    known: Mapping[str, Embeddings], matches: Mapping[tuple[str, str], Any]
) -> dict[tuple[str, str], Pair]:
    """The pairs of the modalities whose matches are given."""
    order = {name: i for i, name in enumerate(known)}
    found: dict[tuple[str, str], Pair] = {}
    for two, values in matches.items():
        if not isinstance(two, tuple) or len(two) != 2:
            raise InputError(f"matches: each key must be two names (a, b); got {quoted(two)}")
        for name in two:
            _known_name(known, name, "matches")
        if two[0] == two[1]:
            raise InputError(f"matches: must be of two modalities; got {quoted(two[0])} twice")
        a, b = sorted(two, key=order.__getitem__)
        if (a, b) in found:
            raise InputError(f"matches: {a} and {b} must match in one way only; found two")
        what = f"matches.{two[0]}.{two[1]}"
        found[a, b] = _simplest(pair_of_matches(known[a], known[b], values, two[0], what))
    return found


def pair_of_matches(
    one: Embeddings,
    two: Embeddings,
    values: object,
    own: str,
    what: str,
    *,
    many: bool | None = None,
) -> Pair:
    """The pair of two modalities whose matches are listed as files list them.

    Args:
        one: the first modality.
        two: the second.
        values: (k, 2), a row of ``own`` and a row of the other; or (n,), the row of the other
            modality for each row of ``own``.
        own: the name of one of the two.
        what: what messages call the matches.
        many: whether they must be (k, 2); by default their shape decides.
    """
    first, second = (one, two) if own == one.modality else (two, one)
    names = (plural(first.modality), plural(second.modality))
    found = array(values, what)
    if many or (many is None and found.ndim == 2):
        pairs = pairs_of(found, what, first.n, second.n, names)
        return Pair(one, two, pairs=pairs if first is one else pairs[:, ::-1])
    index = index_of(found, what, first.n, second.n, *names)
    return Pair(one, two, labels=index) if first is one else Pair(one, two, text_to_image=index)


def _simplest(pair: Pair) -> Pair:
    """The pair by rows, where row i matches row i."""
    return Pair(*pair.sides) if pair.captions_per_image == 1 else pair


def _known_name(known: Mapping[str, Embeddings], name: object, argument: str) -> None:
    if name not in known:
        said = name if isinstance(name, str) else quoted(name)
        raise OptionError.unknown(f"modality of {argument}", said, known)
