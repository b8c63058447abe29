"""Retrieval within a modality, for the studies of inversion on MAD.

Queries are one variant of every second held-out digit; the gallery is all variants of the others.
Variants of one digit would retrieve one another by its strokes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, load_model
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.invert import invert
from modalgap.result import Value
from modalgap.study.judge import digits_of
from modalgap.study.plan import Work

SEED = 0  # of the bootstrap
PROTOCOL = (
    "one variant of every second held-out digit is a query; 6 images of each other digit are the"
    " gallery"
)


def split_digits(side: Embeddings, instances: Ints) -> tuple[Embeddings, Embeddings]:
    """Queries and gallery; ``instances`` is the digit of each row."""
    every, first = np.unique(instances, return_index=True)
    searched = np.isin(instances, every[1::2])
    return chosen(side, first[::2]), chosen(side, np.flatnonzero(searched))


def split_pair(pair: Pair) -> tuple[Embeddings, Embeddings]:
    """Queries and gallery of the images of a pair made by ``judge.embed``."""
    return split_digits(pair.image, digits_of(pair))


def chosen(side: Embeddings, index: Ints) -> Embeddings:
    """Some rows, with their factors; their names are their rows in ``side``."""
    return Embeddings(
        side.take(torch.from_numpy(index)),
        side.modality,
        names=[str(i) for i in index],
        factors={name: values[index] for name, values in side.factors.items()},
        provenance=side.provenance,
        source=side.source,
    )


def ranked(queries: Embeddings, gallery: Embeddings, factor: str) -> Ranks:
    """Ranks of the gallery items that have the value of the query."""
    _, codes = np.unique(
        np.concatenate([queries.factors[factor], gallery.factors[factor]]), return_inverse=True
    )
    relevant = Relevant.same_class(codes[: queries.n], codes[queries.n :], itself=False)
    return ranks(queries.unit(), gallery.unit(), relevant)


def evaluate(
    queries: Embeddings, gallery: Embeddings, spoken: Sequence[str], prompts: Embeddings | None
) -> dict[str, Scores]:
    """The mAP by digit and by the attributes that captions name; accuracy of digit prompts."""
    precision = {}
    for factor in ("object", *spoken):
        found = ranked(queries, gallery, factor)
        precision[factor] = np.full(queries.n, np.nan)  # no relevant item
        precision[factor][found.queries] = found.average_precision()
    result = {"map_object": _there(precision["object"])}
    if spoken:
        result["map_attributes"] = _there(np.mean([precision[name] for name in spoken], axis=0))
    if prompts is not None:
        right = classified_right(queries, prompts, "object")
        result["zero_shot"] = Scores(right.astype(np.float64), np.arange(queries.n))
    return result


def classified_right(queries: Embeddings, prompts: Embeddings, factor: str) -> Any:
    """(n,) whether the nearest prompt is that of the value of the factor."""
    names = np.array(prompts.names or ())
    return names[(queries.unit() @ prompts.unit().T).argmax(1).numpy()] == queries.factors[factor]


def _there(values: Floats) -> Scores:
    rows = np.flatnonzero(np.isfinite(values))
    return Scores(values[rows], rows)


def with_gains(scores: Mapping[str, Scores], native: Mapping[str, Scores]) -> dict[str, Value]:
    """Numbers with intervals, and their paired gain over the native queries."""
    result = {name: each.number(SEED) for name, each in scores.items()}
    for name, each in scores.items():
        if each is not native[name]:
            result[f"gain_{name.removeprefix('map_')}"] = each.gain(native[name], SEED)
    return result


def invert_queries(
    queries: Embeddings, options: Mapping[str, Any], encoder: Encoder, bank: Pair, seed: int = 0
) -> tuple[Embeddings, Value]:
    """Queries in the other modality, and their mean cosine with the native ones.

    Args:
        queries: the native queries.
        options: the name of the method as "method", and its options; empty for native queries.
        encoder: the model, for OTI and OVI.
        bank: pairs, for methods that are fitted on them.
        seed: seed of the noise.
    """
    if not options:
        return queries, Value(1.0)
    rest = dict(options)
    method = rest.pop("method")
    needs: dict[str, Any] = {"model": encoder} if method in ("oti", "ovi") else {"bank": bank}
    found = invert(queries, method, seed=seed, **needs, **rest)
    cosine = Value(float(found.cosines.mean()), details={"least": float(found.cosines.min())})
    return found.features, cosine


def encoder_of(work: Work, name: str) -> Encoder:
    """The trained model of a plan."""
    return load_model(work.runs[name].spec)
