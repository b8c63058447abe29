"""The first page of a mixed index, from means and covariances alone.

A query asks one index that has n_m documents of each form m (image, text, fused). If the scores of
form m are Gaussian with mean μ_m and standard deviation σ_m, the threshold t of the first k solves

    Σ_m n_m P(N(μ_m, σ_m²) > t) = k

and the share of form m is n_m P(N(μ_m, σ_m²) > t) / k. ``shares_of_scales`` takes the mean and the
deviation over all queries. ``shares_by_query`` is more exact: the mean score q · μ_m differs from
query to query, and a query that is near one form is far from another. It averages the shares over
queries whose three means are Gaussian, with covariance μ_mᵀ Σ_q μ_m' between forms m and m'.
Both are the expected shares among unrelated documents; documents of similar content have heavier
tails.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.checks import whole
from modalgap.embeddings.cosine_moments import SMALLEST, MeanAndCovariance
from modalgap.errors import InputError
from modalgap.linalg import eigh

Floats = NDArray[np.float64]
Scale = tuple[float, float]
NODES = 15  # of the quadrature, per form
HALVINGS = 80  # of the bracket of the threshold
REACH = 40.0  # standard deviations around the means, where the threshold is searched


def shares_of_scales(scales: Sequence[Scale], counts: Sequence[float], k: int) -> Floats:
    """Shares (m,) of each form among the first k, from the scores of all queries together.

    Args:
        scales: mean and standard deviation of the scores of each form.
        counts: number of documents of each form.
        k: number of first results.

    Raises:
        InputError: numbers of forms that differ, or a count below 0.
    """
    mean, deviation = np.array(scales, np.float64).reshape(-1, 2).T
    shares: Floats = _shares(mean[None], deviation, _counts(counts, len(mean)), k)[0]
    return shares


def shares_by_query(
    query: MeanAndCovariance,
    documents: Sequence[MeanAndCovariance],
    counts: Sequence[float],
    k: int,
    scales: Sequence[Scale] | None = None,
) -> Floats:
    """Shares (m,) of each form among the first k: the mean over Gaussian queries.

    Args:
        query: mean (d,) and covariance (d, d) of the queries.
        documents: the same of the documents of each form.
        counts: number of documents of each form.
        k: number of first results.
        scales: mean and standard deviation of each form by which scores are standardised; None
            for plain scores.

    Raises:
        InputError: numbers of forms that differ, or a count below 0.
    """
    sizes = _counts(counts, len(documents))
    mean, covariance = query
    means = np.stack([each for each, _ in documents])
    spread = [float((covariance * own).sum() + mean @ own @ mean) for _, own in documents]
    deviation = np.sqrt(np.maximum(spread, 0.0))
    values, vectors = (
        each.numpy() for each in eigh(torch.from_numpy(means @ covariance @ means.T))
    )
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grid = np.array(list(itertools.product(points, repeat=len(documents))))
    weight = np.prod(list(itertools.product(weights / weights.sum(), repeat=len(documents))), 1)
    centres = means @ mean + grid @ root.T
    if scales is not None:
        offset, scale = np.array(scales, np.float64).reshape(-1, 2).T
        centres, deviation = (centres - offset) / scale, deviation / scale
    shares: Floats = weight @ _shares(centres, deviation, sizes, k)
    return shares


def _counts(given: Sequence[float], forms: int) -> Floats:
    counts = np.array(given, np.float64)
    if counts.shape != (forms,) or not (counts >= 0).all() or not counts.sum() > 0:
        raise InputError(f"counts: must be {forms} numbers of documents; got {list(given)}")
    return counts


def _shares(centres: Floats, deviation: Floats, counts: Floats, k: int) -> Floats:
    """(b, m) shares among the first k, for b sets of means; the threshold by bisection."""
    whole("k", k, 1)
    if k >= counts.sum():
        return np.broadcast_to(counts / counts.sum(), centres.shape)
    deviation = np.maximum(deviation, SMALLEST)
    widest = REACH * deviation.max()
    low, high = centres.min(1) - widest, centres.max(1) + widest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _above(centres, deviation, counts, middle).sum(1) > k
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = _above(centres, deviation, counts, low)
    shares: Floats = found / found.sum(1, keepdims=True)
    return shares


def _above(centres: Floats, deviation: Floats, counts: Floats, at: Floats) -> Floats:
    """(b, m) expected number of documents whose score is above a threshold (b,)."""
    tail = torch.special.ndtr(torch.from_numpy((centres - at[:, None]) / deviation)).numpy()
    found: Floats = counts * tail
    return found
