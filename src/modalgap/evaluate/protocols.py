"""Protocols of search: which queries ask, what they may find, and what of it is relevant.

``PROTOCOLS`` names them. Sources: split, self_removed and first_caption: Mistretta et al. 2025,
section 4; easy, medium and hard: Radenović et al. 2018 (revisited Oxford and Paris), section 3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.matching import only_match
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.ranks import Ranks, Relevant

PROTOCOLS = {
    "split": "queries and gallery are two sets; what is of the query's class is relevant",
    "self_removed": "each query is in the gallery too, and left out there; its class is relevant",
    "first_caption": "first captions ask for the other captions of their image, among all others",
    "easy": "revisited Oxford and Paris: easy images are relevant; hard ones and junk are ignored",
    "medium": "revisited Oxford and Paris: easy and hard images are relevant; junk is ignored",
    "hard": "revisited Oxford and Paris: hard images are relevant; easy ones and junk are ignored",
}
LABEL = "label"  # the factor that holds labels where there is no Pair to hold them
ROW = "row"  # the factor that says of which row of the gallery a query was made
ROLE = "role"  # the factor that tells the queries of a file from its gallery
JUDGED = ("easy", "hard", "junk")  # factors of queries: JSON lists of names in the gallery


@dataclass(frozen=True, eq=False)
class SameClass:
    """Relevant items of each query by class, made as they are needed: they may be very many.

    Attributes:
        queries: (k,) class of each query, from 0.
        gallery: (m,) class of each item.
        own: (k,) the item that each query leaves out, or None.
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
        """Those of queries a … b."""
        found = Relevant.same_class(self.queries[a:b], self.gallery, itself=False)
        return found if self.own is None else found.without(self.own[a:b])


@dataclass(frozen=True, eq=False)
class Asked:
    """What a protocol makes of queries and a gallery.

    Attributes:
        side: the embeddings that are searched.
        queries: (k,) rows of the queries that ask.
        gallery: (m,) rows that may be found, ascending; None: all.
        relevant: of each asking query, items as positions in ``gallery``.
        ignored: items that are taken out of each query's ranking.
        judge: ranks to the numbers of each query.
        details: further facts, plain JSON types.
    """

    side: Embeddings
    queries: Ints
    gallery: Ints | None
    relevant: Relevant | SameClass
    ignored: Relevant | None
    judge: Callable[[Ranks], Mapping[str, Floats]]
    details: Mapping[str, Any] = field(default_factory=dict)


def ask(
    queries: Embeddings, gallery: Embeddings | Pair, protocol: str, factor: str | None
) -> Asked:
    """Apply a protocol.

    Raises:
        OptionError: an unknown protocol, or a factor where there is nothing to choose.
        InputError: the two sets do not fit together, or a name or row is not as it must be.
        NotApplicable: names, classes or judgements that the protocol needs are not there.
    """
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise OptionError.unknown("protocol", str(protocol), PROTOCOLS)
    return _RULES[protocol](queries, gallery, factor)


def same_space(queries: Embeddings, side: Embeddings, what: str) -> None:
    """Refuse two sets of different widths, or of different models as far as both say theirs."""
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
    """Where each name stands; refuses a name that stands twice, if it is among ``wanted``."""
    found = {name: row for row, name in enumerate(names)}
    if len(found) < len(names):
        asked = None if wanted is None else set(wanted)
        for row, name in enumerate(names):
            if found[name] != row and (asked is None or name in asked):
                raise InputError(
                    f"{what}: names must differ from one another; {quoted(name)} is there twice"
                )
    return found


def have(factors: Iterable[str]) -> str:
    """Names of factors, for people."""
    return ", ".join(sorted(factors)) or "none"


# by class ------------------------------------------------------------------------------------


def _split(queries: Embeddings, gallery: Embeddings | Pair, factor: str | None) -> Asked:
    side = _searched(queries, gallery)
    ours, theirs, by = _classes(queries, side, gallery, factor)
    return _by_class(side, np.arange(queries.n), None, SameClass(ours, theirs), by)


def _self_removed(queries: Embeddings, gallery: Embeddings | Pair, factor: str | None) -> Asked:
    side = _searched(queries, gallery)
    ours, theirs, by = _classes(queries, side, gallery, factor)
    own = _found(_names(queries, "queries"), places(_names(side, "gallery"), "gallery"))
    each = np.arange(queries.n)
    return _by_class(
        side, each, None, SameClass(ours, theirs, own), by, Relevant.of(each, own, queries.n)
    )


def _first_caption(queries: Embeddings, gallery: Embeddings | Pair, factor: str | None) -> Asked:
    side = gallery.text if isinstance(gallery, Pair) else gallery
    same_space(queries, side, "gallery")
    groups, by = _groups(side, gallery, factor)
    own = _own(queries, side)
    first = np.zeros(side.n, bool)
    first[np.unique(groups, return_index=True)[1]] = True
    asking, kept = np.flatnonzero(first[own]), np.flatnonzero(~first)
    checks.needs(len(asking) > 0, "no query is the first caption of an image")
    relevant = SameClass(groups[own[asking]], groups[kept])
    return _by_class(side, asking, kept, relevant, by, not_first=queries.n - len(asking))


def _by_class(
    side: Embeddings,
    asking: Ints,
    kept: Ints | None,
    relevant: SameClass,
    by: str,
    ignored: Relevant | None = None,
    **details: int,
) -> Asked:
    return Asked(side, asking, kept, relevant, ignored, _of_classes, {"classes_by": by, **details})


def _of_classes(ranked: Ranks) -> dict[str, Floats]:
    return {
        "map": ranked.average_precision(),
        "map_at_r": ranked.average_precision_at_r(),
        "r_precision": ranked.precision_at_r(),
        "r1": ranked.within(1),
    }


def _classes(
    queries: Embeddings, side: Embeddings, gallery: Embeddings | Pair, factor: str | None
) -> tuple[Ints, Ints, str]:
    """Class of each query (n,) and of each item (m,), from 0, and the factor that says it."""
    ours, theirs = queries.factors, dict(side.factors)
    labels = _labels(side, gallery)
    whole = LABEL in ours and ours[LABEL].dtype.kind == "i"
    if labels is not None and (whole or LABEL not in theirs):
        theirs[LABEL] = labels
    by = _common(ours, theirs) if factor is None else factor
    for known, what in ((ours, "the queries need"), (theirs, "the gallery needs")):
        checks.needs(by in known, f"{what} the factor {quoted(by)}; there is {have(known)}")
    columns = [known[by] for known in (ours, theirs)]
    strings = [column.dtype.kind == "U" for column in columns]
    if strings[0] != strings[1]:
        kinds = ["strings" if each else "integers" for each in strings]
        raise InputError(
            f"factor {quoted(by)}: must be integers on both sides or strings on both; queries have"
            f" {kinds[0]}, gallery has {kinds[1]}"
        )
    codes = np.unique(np.concatenate(columns), return_inverse=True)[1].reshape(-1)
    return codes[: queries.n], codes[queries.n :], by


def _labels(side: Embeddings, gallery: Embeddings | Pair) -> Ints | None:
    """Class of each row of a side of a pair with class prompts."""
    if not isinstance(gallery, Pair) or gallery.labels is None:
        return None
    return gallery.labels if side is gallery.image else np.arange(side.n)


def _common(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The factor that says the class, where none is named."""
    shared = set(ours) & set(theirs) - {ROW, ROLE, *JUDGED}
    if LABEL in shared:
        return LABEL
    checks.needs(
        len(shared) == 1,
        f"queries and gallery must share one factor that says the class, or factor must name it;"
        f" queries have {have(ours)}; gallery has {have(theirs)}",
    )
    return shared.pop()


# who stands where ----------------------------------------------------------------------------


def _searched(queries: Embeddings, gallery: Embeddings | Pair) -> Embeddings:
    """The side that is searched: of a pair, that of what the queries are or were inverted from."""
    side = gallery
    if isinstance(side, Pair):
        wanted = queries.provenance.get("inverted_from", queries.modality)
        sides = {each.modality: each for each in side.sides}
        if wanted not in sides:
            raise InputError(
                f"gallery: must have a side of modality {quoted(wanted)}, as the queries have;"
                f" has {' and '.join(sides)}"
            )
        side = sides[wanted]
    same_space(queries, side, "gallery")
    return side


def _names(side: Embeddings, what: str) -> tuple[str, ...]:
    """Its names, which must be there."""
    if side.names is None:
        raise NotApplicable(f"the {what} must have names, to be found by; there are none")
    return side.names


def _found(names: Sequence[str], where: Mapping[str, int]) -> Ints:
    """Rows of the gallery of these names."""
    lost = next((name for name in names if name not in where), None)
    if lost is not None:
        raise InputError(f"queries: names must be in the gallery; {quoted(lost)} is not")
    return np.array([where[name] for name in names], np.int64)


def _own(queries: Embeddings, side: Embeddings) -> Ints:
    """The row of the gallery that each query was made of: by its factor, or by its name."""
    if ROW not in queries.factors:
        asked = _names(queries, f"queries, without a factor {quoted(ROW)},")
        what = f"gallery, where queries have no factor {quoted(ROW)}"
        return _found(asked, places(_names(side, "gallery"), what, asked))
    rows = queries.factors[ROW]
    if rows.dtype.kind != "i":
        raise InputError(f"queries: factor {quoted(ROW)} must hold integers; holds strings")
    in_range(rows, side.n, ROW, "rows of the gallery")
    return rows


def in_range(values: Ints, limit: int, factor: str, what: str) -> None:
    """Refuse a factor of queries that points outside of ``limit`` rows."""
    wrong = np.flatnonzero((values < 0) | (values >= limit))
    if len(wrong):
        raise InputError(
            f"queries: factor {quoted(factor)} must lie in 0 … {limit - 1} (the {what});"
            f" row {wrong[0]} holds {values[wrong[0]]}"
        )


def _groups(side: Embeddings, gallery: Embeddings | Pair, factor: str | None) -> tuple[Ints, str]:
    """(m,) which captions describe one image, from 0, and what says it."""
    if factor is not None:
        return side.factor(factor)[0].numpy(), factor
    if not isinstance(gallery, Pair):
        raise NotApplicable(
            f"factor must name the one that says which image a caption describes; gallery has"
            f" {have(side.factors)}"
        )
    checks.needs(gallery.labels is None, "class prompts are no captions")
    images, texts = (index.numpy() for index in gallery.matches)
    of = only_match(texts, images, side.n)
    if of is None:
        raise NotApplicable(
            "a text describes several images: factor must name the one that says which captions"
            f" belong together; gallery has {have(side.factors)}"
        )
    return of, gallery.matched_by


def _model(side: Embeddings, key: str) -> str:
    name, value = side.provenance.get("model", "a model"), side.provenance[key]
    return value if key == "model" else f"{name} ({key} {value})"


# by judgement --------------------------------------------------------------------------------


def _revisited(
    queries: Embeddings,
    gallery: Embeddings | Pair,
    factor: str | None,
    *,
    relevant: Sequence[str],
    ignored: Sequence[str],
) -> Asked:
    if factor is not None:
        raise OptionError(f"factor: must not be given, as {', '.join(JUDGED)} say what is relevant")
    side = _searched(queries, gallery)
    asking, kept = _of_role(queries, "query", "queries"), _of_role(side, "gallery", "gallery")
    lists = _judgements(queries, asking)
    names = _names(side, "gallery")
    where = places(names if kept is None else [names[row] for row in kept], "gallery")
    found, missing = _listed(lists, relevant, where)
    return Asked(
        side,
        asking if asking is not None else np.arange(queries.n),
        kept,
        found,
        _listed(lists, ignored, where)[0],
        _of_judgements,
        {"missing": missing},
    )


def _of_judgements(ranked: Ranks) -> dict[str, Floats]:
    precision = {f"mp_{k}": ranked.precision_at(k) for k in (1, 5, 10)}
    return {"map": ranked.trapezoid_precision(), **precision}


def _of_role(side: Embeddings, role: str, what: str) -> Ints | None:
    """Rows of a role; None, for all, where a file does not tell roles."""
    if ROLE not in side.factors:
        return None
    rows = np.flatnonzero(side.factors[ROLE] == role)
    if not len(rows):
        there = ", ".join(sorted(set(map(str, side.factors[ROLE]))))
        raise InputError(f"{what}: must hold rows of role {quoted(role)}; there is {there}")
    return rows


def _judgements(queries: Embeddings, asking: Ints | None) -> list[dict[str, list[str]]]:
    """Of each query: names by what they were judged to be."""
    known = queries.factors
    checks.needs(
        set(JUDGED) <= set(known),
        f"the queries need the factors {', '.join(JUDGED)}; there is {have(known)}",
    )
    rows = range(queries.n) if asking is None else asking
    found = [{key: _parsed(known[key], key, row) for key in JUDGED} for row in rows]
    for row, lists in zip(rows, found, strict=True):
        names = [name for each in lists.values() for name in each]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"queries: {', '.join(JUDGED)} must name each image once; row {row} names"
                f" {quoted(twice)} twice"
            )
    return found


def _parsed(column: NDArray[Any], key: str, row: int) -> list[str]:
    try:
        names = json.loads(str(column[row]))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"queries: factor {quoted(key)} must hold JSON lists of names; row {row} holds"
            f" {quoted(str(column[row])[:40])}"
        )
    return names


def _listed(
    lists: Sequence[Mapping[str, Sequence[str]]], keys: Sequence[str], where: Mapping[str, int]
) -> tuple[Relevant, int]:
    """Items judged to be one of ``keys``, and how many are not in the gallery."""
    named = [(q, name) for q, each in enumerate(lists) for key in keys for name in each[key]]
    there = np.array([(q, where[name]) for q, name in named if name in where], np.int64)
    there = there.reshape(-1, 2)
    return Relevant.of(there[:, 0], there[:, 1], len(lists)), len(named) - len(there)


_RULES: dict[str, Callable[[Embeddings, Embeddings | Pair, str | None], Asked]] = {
    "split": _split,
    "self_removed": _self_removed,
    "first_caption": _first_caption,
    "easy": partial(_revisited, relevant=("easy",), ignored=("junk", "hard")),
    "medium": partial(_revisited, relevant=("easy", "hard"), ignored=("junk",)),
    "hard": partial(_revisited, relevant=("hard",), ignored=("junk", "easy")),
}
