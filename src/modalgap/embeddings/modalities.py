"""Modalities: two or more modalities in one space, and which rows belong to one item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Self

import numpy as np
import xxhash
from numpy.typing import ArrayLike
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings import items as rows_of_items
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.matching import Ints, array, index_of, pairs_of
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.scan import FORM
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.modality import listed, plural

NAMES = "names"  # items= of this value: the names of the rows are the ids of the items


@checked
@dataclass(frozen=True, eq=False, init=False)
class Modalities(Mapping[str, Embeddings]):
    """Two or more modalities in one space, and which rows belong to one item.

    A mapping of names to ``Embeddings``, in order: ``mods["image"]``. Each two of them are a
    ``Pair``: ``mods.pair("image", "audio")``.

    Args:
        sides: the ``Embeddings`` of each modality, whose names are their ``modality``; or a mapping
            of these names to ``Embeddings`` or arrays (n, d).
        matches: two names (a, b) to the rows that match: (k, 2), a row of a and a row of b; or
            (n,), for each row of a the row of b. Here (text, image) are captions if image comes
            first in ``sides``, and (image, label) are class prompts if label comes after image.
            Two modalities without an entry have no matches.
        items: instead of ``matches``: name to the item id of each row, (n,) integers or strings.
            Rows of one id match. "names": the names of the rows are the ids. An item may lack a
            modality, and may have several rows of one.

    Without ``matches`` and ``items``, row i of each modality belongs to item i.

    Raises:
        InputError: one modality, two of one name, different widths, different numbers of rows
            without matches, or matches of a wrong shape or range.
        OptionError: the name of a modality that is not there.
    """

    sides: tuple[Embeddings, ...]
    matched: Mapping[tuple[str, str], Pair]

    def __init__(
        self,
        sides: Iterable[Embeddings] | Mapping[str, Embeddings | ArrayLike],
        matches: Mapping[tuple[str, str], ArrayLike | Tensor] | None = None,
        *,
        items: Mapping[str, ArrayLike] | str | None = None,
    ) -> None:
        known = {side.modality: side for side in _checked_sides(sides)}
        if matches is not None and items is not None:
            raise InputError("matches and items: give one or neither, not both")
        if items is not None:
            matched = _by_item(known, items)
        elif matches is not None:
            matched = _by_matches(known, matches)
        else:
            matched = _by_row(known)
        if not matched:
            raise InputError(f"{listed(list(known))}: must have items in common; found none")
        order = [two for two in combinations(known, 2) if two in matched]
        # the fields of a frozen dataclass
        vars(self).update(sides=tuple(known.values()), matched={two: matched[two] for two in order})

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """The two modalities of a pair, which keep their matches."""
        return cls._made(pair.sides, {(pair.image.modality, pair.text.modality): pair})

    @classmethod
    def _made(cls, sides: tuple[Embeddings, ...], matched: Mapping[tuple[str, str], Pair]) -> Self:
        found = cls.__new__(cls)
        vars(found).update(sides=sides, matched=matched)
        return found

    # a mapping ----------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Embeddings:
        for side in self.sides:
            if side.modality == name:
                return side
        raise OptionError.unknown(
            "modality", name if isinstance(name, str) else quoted(name), list(self)
        )

    def __contains__(self, name: object) -> bool:
        return any(side.modality == name for side in self.sides)

    def __iter__(self) -> Iterator[str]:
        return (side.modality for side in self.sides)

    def __len__(self) -> int:
        return len(self.sides)

    def __repr__(self) -> str:
        inside = ", ".join(f"{side.modality} n={side.n}" for side in self.sides)
        return f"Modalities({inside}, dim={self.dim}, matched by {self.matched_by})"

    __eq__ = object.__eq__  # as Embeddings and Pair: equal only to itself
    __hash__ = object.__hash__

    def get(self, name: str, /, default: Any = None) -> Any:
        """The modality of a name; ``default`` for one that is unknown."""
        return next((side for side in self.sides if side.modality == name), default)

    # matches ------------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Width of every modality."""
        return self.sides[0].dim

    @property
    def by_row(self) -> bool:
        """Whether row i of each modality belongs to item i."""
        pairs = len(self.sides) * (len(self.sides) - 1) // 2
        return len(self.matched) == pairs and all(
            pair.matched_by == "rows" for pair in self.matched.values()
        )

    @property
    def matched_by(self) -> str:
        """How rows match: "rows" if row i belongs to item i, or "matches"."""
        return "rows" if self.by_row else "matches"

    def pair(self, a: str, b: str) -> Pair:
        """Two of the modalities, and which rows match.

        Args:
            a: the name of the first.
            b: the name of the second. In the order of this mapping the pair is as it was made. In
                the reverse order class prompts count as items.

        Raises:
            OptionError: a name that is not there; the error names the nearest one.
            InputError: one name twice.
            NotApplicable: fewer than two items have both modalities.
        """
        one, two = self[a], self[b]
        if a == b:
            raise InputError(f"pair: must name two modalities; got {quoted(a)} twice")
        known = self.matched.get((a, b)) or self.matched.get((b, a))
        shared = 0 if known is None else _shared(known)
        if known is None or shared < 2:
            raise NotApplicable(
                f"{a} and {b}: must have at least two items in common; found {shared}"
            )
        if (a, b) in self.matched:
            return known
        if known.matched_by == "rows":
            return Pair(one, two)
        return Pair(one, two, pairs=np.stack([each.numpy() for each in known.matches[::-1]], 1))

    def pairs(self) -> Iterator[tuple[tuple[str, str], Pair]]:
        """((a, b), Pair) for each two modalities with at least two common items, a before b."""
        for two, pair in self.matched.items():
            if _shared(pair) >= 2:
                yield two, pair

    def over(self, sides: Iterable[Embeddings]) -> Modalities:
        """The same matches over other embeddings, with the same numbers of rows."""
        others = tuple(sides)
        if len(others) != len(self.sides):
            raise InputError(f"sides: must be {len(self.sides)} modalities; got {len(others)}")
        place = {name: i for i, name in enumerate(self)}
        matched = {
            (others[place[a]].modality, others[place[b]].modality): pair.over(
                others[place[a]], others[place[b]]
            )
            for (a, b), pair in self.matched.items()
        }
        return self._made(others, matched)

    @cached_property
    def tuples(self) -> Ints:
        """(t, N) rows of the items that have all N modalities, in the order of the modalities.

        An item with several rows of one modality has several tuples. Two modalities that have no
        matches of their own are connected by the others.
        """
        if self.by_row:
            return np.repeat(np.arange(self.sides[0].n)[:, None], len(self.sides), 1)
        return rows_of_items.tuples([side.n for side in self.sides], self._edges())

    @property
    def complete(self) -> int:
        """Number of ``tuples``."""
        return self.sides[0].n if self.by_row else len(self.tuples)

    @property
    def incomplete(self) -> dict[str, int]:
        """Name to the number of rows whose item lacks a modality; 0 for class prompts."""
        if self.by_row:
            return dict.fromkeys(self, 0)
        return {
            side.modality: 0
            if side.modality in self.fixed
            else side.n - len(np.unique(self.tuples[:, column]))
            for column, side in enumerate(self.sides)
        }

    @property
    def fixed(self) -> frozenset[str]:
        """Modalities that are class prompts: a fixed set, not a sample of items."""
        return frozenset(b for (_, b), pair in self.matched.items() if pair.labels is not None)

    @cached_property
    def clusters(self) -> dict[str, Ints]:
        """Name to the cluster number of each row (n,). Items of one cluster are dependent.

        All rows that are connected by matches, other than those with class prompts, are one
        cluster.
        """
        if len(self.sides) == 2:
            return dict(zip(self, next(iter(self.matched.values())).clusters, strict=True))
        if self.by_row:
            return {side.modality: np.arange(side.n) for side in self.sides}
        sizes = [side.n for side in self.sides]
        return dict(zip(self, rows_of_items.clusters(sizes, self._edges(free=True)), strict=True))

    def _edges(self, *, free: bool = False) -> dict[tuple[int, int], Ints]:
        """Places of two modalities to their matches (k, 2); ``free``: without class prompts."""
        place = {name: i for i, name in enumerate(self)}
        return {
            (place[a], place[b]): np.stack([each.numpy() for each in pair.matches], 1)
            for (a, b), pair in self.matched.items()
            if not free or pair.labels is None
        }

    @property
    def fingerprint(self) -> str:
        """A hash of every modality and of the matches; of two modalities, that of their pair."""
        if len(self.sides) == 2:
            return next(iter(self.matched.values())).fingerprint
        return FORM + self.hash_of([side.fingerprint for side in self.sides])

    def hash_of(self, prints: Sequence[str]) -> str:
        """A hash of the fingerprints of every modality and of the matches."""
        if len(self.sides) == 2:
            return next(iter(self.matched.values())).hash_of(prints)
        digest = xxhash.xxh3_128("".join(f"{each}|" for each in prints).encode())
        if not self.by_row:
            place = {name: i for i, name in enumerate(self)}
            for (a, b), pair in self.matched.items():
                digest.update(f"{place[a]}|{place[b]}|{pair.matched_by}|".encode())
                for index in pair.matches:
                    digest.update(np.ascontiguousarray(index.numpy()).data)
        return digest.hexdigest()


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


def _checked_sides(
    sides: Iterable[Embeddings] | Mapping[str, Embeddings | ArrayLike],
) -> list[Embeddings]:
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


def _by_row(known: Mapping[str, Embeddings]) -> dict[tuple[str, str], Pair]:
    if len({side.n for side in known.values()}) > 1:
        raise InputError(
            f"{listed([side.source for side in known.values()])}: without matches or items, row i"
            " of each belongs to item i, so all need the same number of rows;"
            f" got {listed([str(side.n) for side in known.values()])}"
        )
    return {(a, b): Pair(known[a], known[b]) for a, b in combinations(known, 2)}


def _by_item(
    known: Mapping[str, Embeddings], items: Mapping[str, ArrayLike] | str
) -> dict[tuple[str, str], Pair]:
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


def _by_matches(
    known: Mapping[str, Embeddings], matches: Mapping[tuple[str, str], Any]
) -> dict[tuple[str, str], Pair]:
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


def _shared(pair: Pair) -> int:
    """How many items of the first modality have the second."""
    if pair.matched_by == "rows":
        return pair.image.n
    return len(np.unique(pair.matches[0].numpy()))


def _simplest(pair: Pair) -> Pair:
    """The pair by rows, where row i matches row i."""
    return Pair(*pair.sides) if pair.captions_per_image == 1 else pair


def _known_name(known: Mapping[str, Embeddings], name: object, argument: str) -> None:
    if name not in known:
        said = name if isinstance(name, str) else quoted(name)
        raise OptionError.unknown(f"modality of {argument}", said, known)
