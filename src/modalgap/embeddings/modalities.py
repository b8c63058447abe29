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
from modalgap.embeddings.matching import Ints
from modalgap.embeddings.modality_pairs import by_item, by_matches, by_row, checked_sides
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.scan import FORM
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.modality import listed


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
        known = {side.modality: side for side in checked_sides(sides)}
        if matches is not None and items is not None:
            raise InputError("matches and items: give one or neither, not both")
        if items is not None:
            matched = by_item(known, items)
        elif matches is not None:
            matched = by_matches(known, matches)
        else:
            matched = by_row(known)
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


def _shared(pair: Pair) -> int:
    """How many items of the first modality have the second."""
    if pair.matched_by == "rows":
        return pair.image.n
    return len(np.unique(pair.matches[0].numpy()))
