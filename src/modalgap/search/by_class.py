"""Relevance by class: split, self_removed and first_caption.

Source: Mistretta et al. 2025, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from modalgap import checks
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.matching import only_match
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.search.base import (
    JUDGED,
    LABEL,
    ROLE,
    ROW,
    Gallery,
    SameClass,
    SearchPlan,
    have,
    in_range,
    names_of,
    places,
    same_space,
    searched_side,
)  # fmt: skip


def split(queries: Embeddings, gallery: Gallery, factor: str | None) -> SearchPlan:
    """Queries and gallery are two sets; items of the query's class are relevant."""
    side = searched_side(queries, gallery)
    ours, theirs, by = _classes(queries, side, gallery, factor)
    return _by_class(side, np.arange(queries.n), None, SameClass(ours, theirs), by)


def self_removed(queries: Embeddings, gallery: Gallery, factor: str | None) -> SearchPlan:
    """Like split, for a gallery that also contains each query; the query itself is excluded."""
    side = searched_side(queries, gallery)
    ours, theirs, by = _classes(queries, side, gallery, factor)
    own = rows_of(names_of(queries, "queries"), places(names_of(side, "gallery"), "gallery"))
    each = np.arange(queries.n)
    return _by_class(
        side, each, None, SameClass(ours, theirs, own), by, Relevant.of(each, own, queries.n)
    )


def first_caption(queries: Embeddings, gallery: Gallery, factor: str | None) -> SearchPlan:
    """The first caption of an image is a query for the other captions of that image."""
    if isinstance(gallery, Pair):
        side = gallery.text
        same_space(queries, side, "gallery")
    else:
        side = searched_side(queries, gallery)
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
) -> SearchPlan:
    return SearchPlan(
        side, asking, kept, relevant, ignored, _of_classes, {"classes_by": by, **details}
    )


def _of_classes(ranked: Ranks) -> dict[str, Floats]:
    return {
        "map": ranked.average_precision(),
        "map_at_r": ranked.average_precision_at_r(),
        "r_precision": ranked.precision_at_r(),
        "r1": ranked.within(1),
    }


def _classes(
    queries: Embeddings, side: Embeddings, gallery: Gallery, factor: str | None
) -> tuple[Ints, Ints, str]:
    """Class of each query (n,) and of each item (m,), from 0, and the factor that defines it."""
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


def _labels(side: Embeddings, gallery: Gallery) -> Ints | None:
    """Class of each row of a side of a pair with class prompts."""
    if not isinstance(gallery, Pair) or gallery.labels is None:
        return None
    return gallery.labels if side is gallery.image else np.arange(side.n)


def _common(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The factor that defines the class, if the caller does not name one."""
    shared = set(ours) & set(theirs) - {ROW, ROLE, *JUDGED}
    if LABEL in shared:
        return LABEL
    hint = (
        ""
        if shared
        else (
            "; for matched pairs without classes, use modalgap evaluate or the protocol mixed"
            " (--protocol mixed)"
        )
    )
    checks.needs(
        len(shared) == 1,
        f"queries and gallery must share one factor that defines the class, or factor must name it;"
        f" queries have {have(ours)}; gallery has {have(theirs)}{hint}",
    )
    return shared.pop()


def rows_of(names: Sequence[str], where: Mapping[str, int]) -> Ints:
    """Rows of the gallery with these names."""
    lost = next((name for name in names if name not in where), None)
    if lost is not None:
        raise InputError(f"queries: names must be in the gallery; {quoted(lost)} is not")
    return np.array([where[name] for name in names], np.int64)


def _own(queries: Embeddings, side: Embeddings) -> Ints:
    """The gallery row from which each query was made: by its factor, or by its name."""
    if ROW not in queries.factors:
        names = names_of(queries, f"queries, without a factor {quoted(ROW)},")
        what = f"gallery, if queries have no factor {quoted(ROW)}"
        return rows_of(names, places(names_of(side, "gallery"), what, names))
    rows = queries.factors[ROW]
    if rows.dtype.kind != "i":
        raise InputError(f"queries: factor {quoted(ROW)} must hold integers; found strings")
    in_range(rows, side.n, ROW, "rows of the gallery")
    return rows


def _groups(side: Embeddings, gallery: Gallery, factor: str | None) -> tuple[Ints, str]:
    """(m,) the image that each caption describes, from 0, and the factor that defines it."""
    if factor is not None:
        return side.factor(factor)[0].numpy(), factor
    if not isinstance(gallery, Pair):
        raise NotApplicable(
            f"factor must name the one that identifies the image of a caption; gallery has"
            f" {have(side.factors)}"
        )
    checks.needs(gallery.labels is None, "class prompts are not captions")
    images, texts = (index.numpy() for index in gallery.matches)
    of = only_match(texts, images, side.n)
    if of is None:
        raise NotApplicable(
            "a text describes several images: factor must name the one that says which captions"
            f" belong together; gallery has {have(side.factors)}"
        )
    return of, gallery.matched_by
