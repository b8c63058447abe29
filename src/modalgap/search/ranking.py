"""Rank a gallery by the queries of a plan, in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from modalgap.embeddings import Embeddings, pick
from modalgap.embeddings.streaming import SPAN
from modalgap.errors import NotApplicable
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.ranking import ranks
from modalgap.result import Result
from modalgap.search.base import Gallery, SearchPlan
from modalgap.search.result import described, result_of

AT_ONCE = 2**22  # relevant items that are ranked together: some 100 MB
Planner = Callable[[Embeddings, Gallery, str | None], SearchPlan]


def rank(
    protocol: str,
    planner: Planner,
    queries: Embeddings,
    gallery: Gallery,
    factor: str | None,
    seed: int,
) -> Result:
    """Search by a plan.

    Args:
        protocol: the name of the protocol.
        planner: makes the plan from queries, gallery and factor.
        queries: (n, d) rows.
        gallery: (m, d) rows.
        factor: the factor that defines classes, or None.
        seed: for the bootstrap.

    Raises:
        NotApplicable: no query has a relevant item.
    """
    plan = planner(queries, gallery, factor)
    counts = plan.relevant.counts
    left_out = int((counts == 0).sum())
    if left_out == len(counts):
        raise NotApplicable(f"{protocol}: nothing in the gallery is relevant to any query")
    params = {
        "protocol": protocol,
        "factor": factor,
        "asked": len(counts),
        "left_out": left_out,
        "seed": seed,
    }
    if protocol == "split" and queries.names is not None and plan.side.names is not None:
        asked = set(queries.names)  # few: the names of the gallery may not fit in memory
        if len({name for name in plan.side.names if name in asked}) == len(asked):
            params["all_in_gallery"] = True
    details = {
        **plan.details,
        "asked": len(counts),
        "left_out": left_out,
        "searched": plan.side.n if plan.gallery is None else len(plan.gallery),
    }
    scores = {
        name: Scores(values, np.arange(len(values)))
        for name, values in _numbers(queries, plan, counts).items()
    }
    return result_of(scores, params, details, described(queries, gallery, plan.side, "gallery"))


def _numbers(queries: Embeddings, plan: SearchPlan, counts: Ints) -> dict[str, Floats]:
    """Numbers (k,) of the queries that have a relevant item."""
    x = _some(queries, plan.queries)
    y = plan.side if plan.gallery is None else _some(plan.side, plan.gallery)
    parts = []
    for a, b in _spans(counts):
        ignored = None if plan.ignored is None else plan.ignored.part(a, b)
        relevant = plan.relevant.part(a, b)
        ranked = ranks(_part(x, a, b), y, relevant, ignored=ignored, what="searching")
        if len(ranked.queries):
            parts.append(plan.judge(ranked))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _some(side: Embeddings, index: Ints) -> Embeddings | Tensor:
    """The rows at ``index``; those of a file stay there."""
    if len(index) == side.n and (index == np.arange(side.n)).all():
        return side
    if side.rows.in_memory or len(index) <= SPAN:
        return side.take(torch.from_numpy(index))
    return pick(side.bare(), index)


def _part(rows: Embeddings | Tensor, a: int, b: int) -> Embeddings | Tensor:
    """Rows [a, b)."""
    if isinstance(rows, Tensor):
        return rows[a:b]
    if (a, b) == (0, rows.n):
        return rows
    return rows.unit(a, b) if b - a <= SPAN else pick(rows.bare(), np.arange(a, b))


def _spans(counts: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of queries with at most ``AT_ONCE`` relevant items, at least one query each."""
    ends = np.cumsum(counts)
    a = 0
    while a < len(counts):
        before = ends[a] - counts[a]
        b = max(a + 1, int(np.searchsorted(ends, before + AT_ONCE, "right")))
        yield a, b
        a = b
