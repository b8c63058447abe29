"""Shared by the protocols: the plan of a search, and checks of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.result import Result

LABEL = "label"  # the factor that holds labels if they are not in a Pair
ROW = "row"  # the factor with the gallery row of the item from which a query was made
ROLE = "role"  # the factor that distinguishes queries from gallery items in one file
Gallery = Embeddings | Pair | Modalities
JUDGED = ("easy", "hard", "junk")  # factors of queries: JSON lists of names in the gallery


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule that says which queries are used and which items are relevant.

    Attributes:
        name: the name used in Python, on the command line and in JSON.
        about: one sentence on what is relevant to a query.
        run: (queries, gallery, factor, seed) to a ``Result``.
        side: the side of a pair that holds the queries.
        scales: whether ``run`` also takes a ``ScoreScaler`` or None.
    """

    name: str
    about: str
    run: Callable[..., Result]
    side: Literal["image", "text"] = "image"
    scales: bool = False


@dataclass(frozen=True, eq=False)
class SameClass:
    """Relevant items of each query by class, listed on demand because there may be very many.

    Attributes:
        queries: (k,) class of each query, from 0.
        gallery: (m,) class of each item.
        own: (k,) the item that is excluded for each query, or None.
    """

    queries: Ints
    gallery: Ints
    own: Ints | None = None

    @property
    def counts(self) -> Ints:
        """(k,) relevant items of each query."""
        sizes = np.bincount(self.gallery, minlength=int(self.queries.max(initial=-1)) + 1)
        found: Ints = sizes[self.queries]
        return found if self.own is None else found - (self.gallery[self.own] == self.queries)

    def part(self, a: int, b: int) -> Relevant:
        """The relevant items of queries a … b."""
        found = Relevant.same_class(self.queries[a:b], self.gallery, itself=False)
        return found if self.own is None else found.without(self.own[a:b])


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """What a protocol returns for queries and a gallery.

    Attributes:
        side: the embeddings that are searched.
        queries: (k,) rows of the queries that are used.
        gallery: (m,) rows that are searched, ascending; None: all.
        relevant: the relevant items of each query, as positions in ``gallery``.
        ignored: items that are excluded from the ranking of each query.
        judge: function from ranks to the numbers of each query.
        details: further facts, plain JSON types.
    """

    side: Embeddings
    queries: Ints
    gallery: Ints | None
    relevant: Relevant | SameClass
    ignored: Relevant | None
    judge: Callable[[Ranks], Mapping[str, Floats]]
    details: Mapping[str, Any] = field(default_factory=dict)


def same_space(queries: Embeddings, side: Embeddings, what: str) -> None:
    """Refuse two sets of different widths, or of different models if both name theirs."""
    if queries.dim != side.dim:
        raise InputError(
            f"queries and {what}: must have the same width; got {queries.dim} and {side.dim}"
        )
    for key in ("weights_hash", "model"):
        ours, theirs = queries.provenance.get(key), side.provenance.get(key)
        if ours and theirs:
            if ours != theirs:
                raise InputError(
                    f"queries and {what}: must be features of one model; got"
                    f" {_model(queries, key)} and {_model(side, key)}"
                )
            return


def places(names: Sequence[str], what: str, wanted: Iterable[str] | None = None) -> dict[str, int]:
    """The position of each name, or of those that are ``wanted``; each may occur once only."""
    wanted = None if wanted is None else set(wanted)
    found: dict[str, int] = {}
    for row, name in enumerate(names):
        if wanted is not None and name not in wanted:
            continue
        if name in found:
            raise InputError(
                f"{what}: names must be different; found {quoted(name)} more than once"
            )
        found[name] = row
    return found


def have(factors: Iterable[str]) -> str:
    """Names of factors, for people."""
    return ", ".join(sorted(factors)) or "none"


def searched_side(queries: Embeddings, gallery: Gallery) -> Embeddings:
    """The side to search. In a pair: the modality of the queries, or their ``inverted_from``."""
    if isinstance(gallery, Embeddings):
        side = gallery
    else:
        wanted = queries.provenance.get("inverted_from", queries.modality)
        sides = {each.modality: each for each in gallery.sides}
        if wanted not in sides:
            raise InputError(
                f"gallery: must have a side of modality {quoted(wanted)}, as the queries have;"
                f" found {' and '.join(sides)}"
            )
        side = sides[wanted]
    same_space(queries, side, "gallery")
    return side


def names_of(side: Embeddings, what: str) -> Sequence[str]:
    """The names of a side; refuses a side without names."""
    if side.names is None:
        raise NotApplicable(f"the {what} must have names, which identify its items; found none")
    return side.names


def in_range(values: Ints, limit: int, factor: str, what: str) -> None:
    """Refuse a factor of queries with numbers outside of 0 … ``limit`` - 1."""
    wrong = np.flatnonzero((values < 0) | (values >= limit))
    if len(wrong):
        raise InputError(
            f"queries: factor {quoted(factor)} must lie in 0 … {limit - 1} (the {what});"
            f" row {wrong[0]} holds {values[wrong[0]]}"
        )


def _model(side: Embeddings, key: str) -> str:
    name, value = side.provenance.get("model", "a model"), side.provenance[key]
    return value if key == "model" else f"{name} ({key} {value})"
