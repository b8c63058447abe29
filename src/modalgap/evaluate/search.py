"""Search: queries from one set of embeddings, a gallery or class prompts from another.

For instance inverted image features, which a text tower made, against native image features.
Source: Mistretta et al. 2025, section 4; the protocols have theirs in ``protocols``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import xxhash

from modalgap import checks
from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair, describe_input
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.protocols import LABEL, ROW, Asked, ask, have, in_range, places, same_space
from modalgap.evaluate.ranks import ranks
from modalgap.evaluate.zero_shot import zero_shot
from modalgap.result import Result, Value, versions

AT_ONCE = 2**22  # relevant items that are ranked together: some 100 MB
CLASSIFIED = ("top1", "top5", "mean_per_class")


@checked
def search(
    queries: Embeddings,
    gallery: Embeddings | Pair,
    protocol: str = "split",
    *,
    factor: str | None = None,
    seed: int = 0,
) -> Result:
    """Find in a gallery what is relevant to queries that are embedded elsewhere.

    Args:
        queries: (n, d) rows, inverted or native.
        gallery: (m, d) rows; of a pair the side of what the queries are, or were inverted from
            (provenance ``inverted_from``).
        protocol: which queries ask, and what is relevant; see ``PROTOCOLS``. Revisited Oxford and
            Paris need the factors ``easy``, ``hard`` and ``junk`` of the queries, and take their
            rows by the factor ``role`` where there is one. first_caption finds queries in the
            gallery by their factor ``row``, or by name.
        factor: what is known of the rows and makes classes, or says which captions describe one
            image; by default labels, or the one factor that both have.
        seed: of the bootstrap.

    Returns:
        A ``Result`` of ``map``, ``map_at_r``, ``r_precision`` and ``r1``; for easy, medium and hard
        of ``map``, ``mp_1``, ``mp_5`` and ``mp_10``; with 95 % bootstrap intervals over queries.
        Queries to which nothing is relevant are left out, and counted as ``left_out``.

    Raises:
        OptionError: an unknown protocol, or a factor where there is nothing to choose.
        InputError: the two sets do not fit together, or a name or row is not as it must be.
        NotApplicable: names, classes or judgements that the protocol needs are not there.
    """
    _check(queries, gallery, "gallery", factor, seed)
    asked = ask(queries, gallery, protocol, factor)
    counts = asked.relevant.counts
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
    if protocol == "split" and queries.names is not None and asked.side.names is not None:
        shared = set(queries.names) & set(asked.side.names)
        if shared and len(shared) == len(set(queries.names)):
            params["all_in_gallery"] = True
    details = {
        **asked.details,
        "asked": len(counts),
        "left_out": left_out,
        "searched": asked.side.n if asked.gallery is None else len(asked.gallery),
    }
    scores = {
        name: Scores(values, np.arange(len(values)))
        for name, values in _judged(queries, asked, counts).items()
    }
    return _result(scores, params, details, _described(queries, gallery, asked.side, "gallery"))


@checked
def classify(
    queries: Embeddings,
    prompts: Embeddings | Pair,
    *,
    factor: str | None = None,
    seed: int = 0,
) -> Result:
    """Classify queries by the nearest of class prompts that are embedded elsewhere.

    Args:
        queries: (n, d) rows, inverted or native.
        prompts: (c, d) class prompts, or a pair of which the texts are.
        factor: what is known of the queries and names their prompt; by default ``label``, or the
            only one. Where the pair has labels, integers in ``label`` count its prompts from 0.
        seed: of the bootstrap.

    Returns:
        A ``Result`` of ``top1``, ``top5`` and ``mean_per_class``, as of the task zero_shot, with
        95 % bootstrap intervals over queries.

    Raises:
        OptionError: a factor that is no name.
        InputError: the two sets do not fit together, or a class has no prompt, or two.
        NotApplicable: classes of the queries, or names of the prompts, are not there.
    """
    _check(queries, prompts, "prompts", factor, seed)
    side = prompts.text if isinstance(prompts, Pair) else prompts
    same_space(queries, side, "prompts")
    labels, by = _targets(queries, side, prompts, factor)
    found = zero_shot(Pair(_called(queries, "query"), _called(side, "prompt"), labels=labels))
    params = {"factor": factor, "asked": queries.n, "left_out": 0, "seed": seed}
    details = {"classes_by": by, "asked": queries.n, "left_out": 0, "searched": side.n}
    scores = {name: found.scores[name] for name in CLASSIFIED}
    return _result(scores, params, details, _described(queries, prompts, side, "prompts"))


def query_side(pair: Pair, protocol: str = "split") -> Embeddings:
    """The queries that a pair holds: its images with factor ``label``, or its texts with ``row``.

    Args:
        pair: what a file of queries gave.
        protocol: as for ``search``; first_caption takes the texts, all others the images.
    """
    if protocol == "first_caption":
        return _with_factor(pair.text, ROW, np.arange(pair.text.n))
    return pair.image if pair.labels is None else _with_factor(pair.image, LABEL, pair.labels)


def _check(queries: object, other: object, what: str, factor: object, seed: int) -> None:
    """Refuse arguments of a wrong type."""
    if not isinstance(queries, Embeddings):
        raise InputError(f"queries: must be Embeddings; got {type(queries).__name__}")
    if not isinstance(other, Embeddings | Pair):
        raise InputError(f"{what}: must be Embeddings or a Pair; got {type(other).__name__}")
    if factor is not None and not isinstance(factor, str):
        raise OptionError(f"factor must be a name; got {quoted(factor)}")
    checks.whole("seed", seed, 0)


def _judged(queries: Embeddings, asked: Asked, counts: Ints) -> dict[str, Floats]:
    """Numbers (k,) of the queries that have a relevant item."""
    x = queries.take(torch.from_numpy(asked.queries))
    kept = asked.gallery
    y = asked.side.unit() if kept is None else asked.side.take(torch.from_numpy(kept))
    parts = []
    for a, b in _spans(counts):
        ignored = None if asked.ignored is None else asked.ignored.part(a, b)
        relevant = asked.relevant.part(a, b)
        ranked = ranks(x[a:b], y, relevant, ignored=ignored, what="searching")
        if len(ranked.queries):
            parts.append(asked.judge(ranked))
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


def _targets(
    queries: Embeddings, side: Embeddings, prompts: Embeddings | Pair, factor: str | None
) -> tuple[Ints, str]:
    """(n,) the prompt of each query, and the factor that says it."""
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
            f"the prompts must have names, to be found by {quoted(by)}; there are none"
        )
    where = places(side.names, "prompts")
    asked, codes = np.unique(values, return_inverse=True)
    lost = next((str(value) for value in asked if str(value) not in where), None)
    if lost is not None:
        raise InputError(
            f"queries: factor {quoted(by)} must name prompts; no prompt is named {quoted(lost)}"
        )
    rows = np.array([where[str(value)] for value in asked], np.int64)
    return rows[codes.reshape(-1)], by


def _called(side: Embeddings, modality: str) -> Embeddings:
    """The same under another name, as the two of a pair must differ."""
    return Embeddings(side.rows, modality, side.names, side.factors, side.provenance, side.source)


def _with_factor(side: Embeddings, name: str, values: Ints) -> Embeddings:
    factors = {**side.factors, name: values}
    return Embeddings(side.rows, side.modality, side.names, factors, side.provenance, side.source)


def _result(
    scores: Mapping[str, Scores],
    params: Mapping[str, Any],
    details: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Result:
    """Values with intervals; the details go with the first."""
    values = {}
    for name, each in scores.items():
        plain = {**params, "better": each.better}
        values[name] = Value(each.value, each.interval(params["seed"]), plain, details)
        details = {}
    return Result(values, {}, about, versions())


def _described(
    queries: Embeddings, other: Embeddings | Pair, side: Embeddings, what: str
) -> dict[str, Any]:
    """What the result says of both inputs; plain JSON types."""
    both = {"queries": describe_input(queries), what: describe_input(other)}
    digest = xxhash.xxh3_128("|".join(each["fingerprint"] for each in both.values()).encode())
    return {
        "n_queries": queries.n,
        f"n_{what}": side.n,
        "dim": queries.dim,
        "fingerprint": digest.hexdigest(),
        "modalities": {"queries": queries.modality, what: side.modality},
        **both,
    }
