"""Estimates of the mean and the standard deviation of the scores of unrelated items.

``estimate_scales`` returns one pair of numbers per modality of query and form of document, by one
of three estimates: "closed" from moments, "pairs" by counting, "best" from each query's best hit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.embeddings import Embeddings, Moments, Pair, moments, pair_moments
from modalgap.embeddings.cosine_moments import (
    MeanAndCovariance,
    cosine_moments,
    fuse,
    mean_and_covariance,
)
from modalgap.embeddings.rows import CHUNK
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.linalg import blocks

Scale = tuple[float, float]
Data = Pair | Mapping[str, Any]
ESTIMATES = ("closed", "pairs", "best")
FUSED = "fused"


def estimate_scales(
    data: Data, estimate: str, *, fused: bool, max_rows: int, seed: int
) -> tuple[dict[str, dict[str, Scale]], dict[str, int], int]:
    """Scales of every kind of query and form, the number of rows of each form, and the width.

    Args:
        data: see ``ScoreScaler.fit``, as for the other arguments.
        estimate: one of ``ESTIMATES``.
        fused: whether a pair also has documents of both modalities.
        max_rows: largest number of rows per form, for "pairs" and "best".
        seed: of their choice.
    """
    checks.one_of("estimate", estimate, ESTIMATES)
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)
    fused = fused and isinstance(data, Pair) and data.labels is None
    if estimate == "closed":
        return _closed(data, fused)
    if not isinstance(data, Pair):
        raise InputError(f"data: must be a Pair for estimate {quoted(estimate)}, to know matches")
    forms = _rows(data, fused, max_rows, seed)
    found: dict[str, dict[str, Scale]] = {}
    for query, (asking, own) in forms.items():
        found[query] = {}
        for form, (documents, items) in forms.items():
            make = _counted if estimate == "pairs" else _best
            found[query][form] = make(asking, own, documents, items)
    return found, {form: len(rows) for form, (rows, _) in forms.items()}, data.dim


def _closed(data: Data, fused: bool) -> tuple[dict[str, dict[str, Scale]], dict[str, int], int]:
    known: dict[str, MeanAndCovariance] = {}
    counts: dict[str, int] = {}
    if isinstance(data, Pair):
        found = pair_moments(data, scatter=True)
        both: dict[str, Any] = {data.image.modality: found.image, data.text.modality: found.text}
        if fused:
            both[FUSED] = _fused(data)
            counts[FUSED] = len(data.matches[0])
    elif isinstance(data, Mapping) and data:
        both = dict(data)
    else:
        raise InputError(f"data: must be a Pair or a mapping of modalities; got {quoted(data)}")
    for name, each in both.items():
        if isinstance(each, Embeddings):
            each = moments(each, scatter=True)
        if isinstance(each, Moments):
            if each.n < 2:
                raise NotApplicable(f"{name}: at least two rows are needed; found {each.n}")
            counts[name] = each.n
            known[name] = (each.mean, each.covariance)
        else:
            known[name] = _numbers(name, each)
    widths = {name: len(mean) for name, (mean, _) in known.items()}
    if len(set(widths.values())) > 1:
        raise InputError(f"data: must have one width; got {quoted(widths)}")
    scales = {
        query: {form: cosine_moments(asking, documents) for form, documents in known.items()}
        for query, asking in known.items()
    }
    return scales, counts, next(iter(widths.values()))


def _fused(pair: Pair) -> MeanAndCovariance:
    """Of the documents that hold an image and a text: normalised means of matched rows."""
    images, texts = pair.matches
    return mean_and_covariance(
        fuse(pair.image.take(images[a : a + CHUNK]), pair.text.take(texts[a : a + CHUNK]))
        for a in range(0, len(images), CHUNK)
    )


def _numbers(name: str, given: Any) -> MeanAndCovariance:
    """A mean and a covariance that somebody else computed."""
    try:
        mean, covariance = (np.asarray(each, np.float64) for each in given)
    except (TypeError, ValueError):
        mean = covariance = np.empty(0)
    d = len(mean) if mean.ndim == 1 else 0
    if d == 0 or covariance.shape != (d, d):
        raise InputError(
            f"{name}: must be Embeddings, Moments, or a mean (d,) and a covariance (d, d)"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f"{name}: mean and covariance must be finite")
    return mean, covariance


def _rows(pair: Pair, fused: bool, max_rows: int, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Unit rows (n, d) of each form, and the item (n,) that each belongs to."""
    found = {}
    for side, clusters in zip(pair.sides, pair.clusters, strict=True):
        chosen = checks.sample(side.n, max_rows, seed)
        own = torch.from_numpy(clusters)[chosen]
        found[side.modality] = (side.take(chosen), own)
    if pair.labels is not None:  # an item per prompt, and not per row
        found[pair.text.modality] = (found[pair.text.modality][0], -1 - torch.arange(pair.text.n))
    if fused:
        images, texts = pair.matches
        chosen = checks.sample(len(images), max_rows, seed)
        rows = fuse(pair.image.take(images[chosen]), pair.text.take(texts[chosen]))
        found[FUSED] = (rows, torch.from_numpy(pair.clusters[0])[images[chosen]])
    return found


def _counted(asking: Tensor, own: Tensor, documents: Tensor, items: Tensor) -> Scale:
    """Over all pairs of different items."""
    count, total, squares = 0, 0.0, 0.0
    for a, b in blocks(len(asking), len(documents)):
        scores = (asking[a:b] @ documents.T).double()
        apart = own[a:b, None] != items
        count += int(apart.sum())
        scores = scores.masked_fill(~apart, 0.0)
        total += float(scores.sum())
        squares += float((scores * scores).sum())
    if count < 2:
        raise NotApplicable("fewer than two pairs do not match")
    mean = total / count
    return mean, max(squares / count - mean**2, 0.0) ** 0.5


def _best(asking: Tensor, own: Tensor, documents: Tensor, items: Tensor) -> Scale:
    """Of the best score of each query among documents of other items."""
    best = torch.full((len(asking),), -torch.inf)
    for a, b in blocks(len(asking), len(documents)):
        scores = asking[a:b] @ documents.T
        best[a:b] = scores.masked_fill(own[a:b, None] == items, -torch.inf).max(1).values
    values = best[best > -torch.inf].double()
    if len(values) < 2:
        raise NotApplicable("fewer than two queries have documents that do not match")
    return float(values.mean()), float(values.std())
