"""Rank a gallery by the queries of a plan, in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from modalgap.embeddings import Embeddings
from modalgap.errors import NotApplicable
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.ranks import ranks
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
    x = queries.take(torch.from_numpy(plan.queries))
    kept = plan.gallery
    y = plan.side.unit() if kept is None else plan.side.take(torch.from_numpy(kept))
    parts = []
    for a, b in _spans(counts):
        ignored = None if plan.ignored is None else plan.ignored.part(a, b)
        relevant = plan.relevant.part(a, b)
        ranked = ranks(x[a:b], y, relevant, ignored=ignored, what="searching")
        if len(ranked.queries):
            parts.append(plan.judge(ranked))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _spans(counts: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of queries with at most ``AT_ONCE`` relevant items, at least one query each."""
    ends = np.cumsum(counts)
    a = 0
    while a < len(counts):
        before = ends[a] - counts[a]
        b = max(a + 1, int(np.searchsorted(ends, before + AT_ONCE, "right")))
        yield a, b
        a = b
