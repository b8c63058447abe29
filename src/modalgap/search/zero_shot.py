"""Classify queries by the nearest class prompt from another set of embeddings."""

from __future__ import annotations

import numpy as np

from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.evaluate.base import Ints
from modalgap.evaluate.zero_shot import zero_shot
from modalgap.result import Result
from modalgap.search.base import LABEL, Gallery, have, in_range, places, same_space
from modalgap.search.result import described, result_of

METRICS = ("top1", "top5", "mean_per_class")


def classify(queries: Embeddings, prompts: Gallery, factor: str | None, seed: int) -> Result:
    """Classify queries by the nearest class prompt.

    Args:
        queries: (n, d) rows.
        prompts: (c, d) class prompts, or a pair whose texts are class prompts.
        factor: the factor of the queries that names their prompt, or None.
        seed: for the bootstrap.

    Raises:
        InputError: the two sets do not fit together, or a class has no prompt or two prompts.
        NotApplicable: queries without classes, or prompts without names.
    """
    if isinstance(prompts, Modalities):
        raise InputError(
            f"prompts: must be one modality or a pair for zero_shot; found {', '.join(prompts)}"
        )
    side = prompts.text if isinstance(prompts, Pair) else prompts
    same_space(queries, side, "prompts")
    labels, by = _targets(queries, side, prompts, factor)
    found = zero_shot(
        Pair(_with_modality(queries, "query"), _with_modality(side, "prompt"), labels=labels)
    )
    params = {"factor": factor, "asked": queries.n, "left_out": 0, "seed": seed}
    details = {"classes_by": by, "asked": queries.n, "left_out": 0, "searched": side.n}
    scores = {name: found.scores[name] for name in METRICS}
    return result_of(scores, params, details, described(queries, prompts, side, "prompts"))


def _targets(
    queries: Embeddings, side: Embeddings, prompts: Gallery, factor: str | None
) -> tuple[Ints, str]:
    """(n,) the prompt of each query, and the factor that defines it."""
    known = queries.factors
    by = factor
    if by is None:
        by = LABEL if LABEL in known else next(iter(known)) if len(known) == 1 else None
    if by is None or by not in known:
        wanted = "a factor that names their class" if by is None else f"the factor {quoted(by)}"
        raise NotApplicable(f"the queries need {wanted}; there is {have(known)}")
    values = known[by]
    counted = isinstance(prompts, Pair) and prompts.labels is not None and by == LABEL
    if counted and values.dtype.kind == "i":
        in_range(values, side.n, by, "prompts")
        return values, by
    if side.names is None:
        raise NotApplicable(
            f"the prompts must have names, which {quoted(by)} refers to; found none"
        )
    where = places(side.names, "prompts")
    distinct, codes = np.unique(values, return_inverse=True)
    lost = next((str(value) for value in distinct if str(value) not in where), None)
    if lost is not None:
        raise InputError(
            f"queries: factor {quoted(by)} must name prompts; no prompt is named {quoted(lost)}"
        )
    rows = np.array([where[str(value)] for value in distinct], np.int64)
    return rows[codes.reshape(-1)], by


def _with_modality(side: Embeddings, modality: str) -> Embeddings:
    """The same rows under another modality name, as the two names of a pair must differ."""
    return Embeddings(side.rows, modality, side.names, side.factors, side.provenance, side.source)
