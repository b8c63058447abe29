"""The result of a search: values with intervals, and both inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xxhash

from modalgap.embeddings import Embeddings, describe_input
from modalgap.evaluate.base import Scores
from modalgap.result import Result, Value, versions
from modalgap.search.base import Gallery


def result_of(
    scores: Mapping[str, Scores],
    params: Mapping[str, Any],
    details: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Result:
    """Values with intervals; the first value gets the details."""
    values = {}
    for name, each in scores.items():
        plain = {**params, "better": each.better}
        values[name] = Value(each.value, each.interval(params["seed"]), plain, details)
        details = {}
    return Result(values, {}, about, versions())


def described(queries: Embeddings, other: Gallery, side: Embeddings, what: str) -> dict[str, Any]:
    """What the result records about both inputs, in plain JSON types."""
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
