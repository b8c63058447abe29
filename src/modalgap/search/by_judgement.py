"""Relevance by judgements: easy, medium and hard of Revisited Oxford and Paris.

Source: Radenović et al. 2018, section 3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.embeddings import Embeddings
from modalgap.embeddings.strings import pick
from modalgap.errors import InputError, OptionError, quoted
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.search.base import (
    JUDGED,
    ROLE,
    Gallery,
    SearchPlan,
    have,
    names_of,
    places,
    searched_side,
)


def revisited(
    queries: Embeddings,
    gallery: Gallery,
    factor: str | None,
    *,
    relevant: Sequence[str],
    ignored: Sequence[str],
) -> SearchPlan:
    """Images of some judgements are relevant; images of others are ignored."""
    if factor is not None:
        raise OptionError(f"factor: must not be set; {', '.join(JUDGED)} define relevant items")
    side = searched_side(queries, gallery)
    asking, kept = _of_role(queries, "query", "queries"), _of_role(side, "gallery", "gallery")
    lists = _judgements(queries, asking)
    names = names_of(side, "gallery")
    where = places(names if kept is None else pick(names, kept), "gallery")
    found, missing = _listed(lists, relevant, where)
    return SearchPlan(
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
    """Rows of a role; None, for all rows, if the factor of roles is missing."""
    if ROLE not in side.factors:
        return None
    rows = np.flatnonzero(side.factors[ROLE] == role)
    if not len(rows):
        there = ", ".join(sorted(set(map(str, side.factors[ROLE]))))
        raise InputError(f"{what}: must hold rows of role {quoted(role)}; there is {there}")
    return rows


def _judgements(queries: Embeddings, asking: Ints | None) -> list[dict[str, list[str]]]:
    """For each query: judgement to the names of images with this judgement."""
    known = queries.factors
    checks.needs(
        set(JUDGED) <= set(known),
        f"the queries need the factors {', '.join(JUDGED)}; there is {have(known)}",
    )
    rows = range(queries.n) if asking is None else asking
    result = [{key: _parsed(known[key], key, row) for key in JUDGED} for row in rows]
    for row, lists in zip(rows, result, strict=True):
        names = [name for each in lists.values() for name in each]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"queries: {', '.join(JUDGED)} must name each image once; row {row} names"
                f" {quoted(twice)} twice"
            )
    return result


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
    """Items with one of the judgements ``keys``, and how many are not in the gallery."""
    named = [(q, name) for q, each in enumerate(lists) for key in keys for name in each[key]]
    there = np.array([(q, where[name]) for q, name in named if name in where], np.int64)
    there = there.reshape(-1, 2)
    return Relevant.of(there[:, 0], there[:, 1], len(lists)), len(named) - len(there)
