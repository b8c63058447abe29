"""Uniformity: how evenly one modality covers the sphere.

Equation: log of the mean over distinct pairs of exp(−2‖u − v‖²). Source: Wang & Isola 2020, section
    4.1.2 (t = 2).
Relations: the second-order expansion of it is the cone; this one also notices clusters.
Fails when: compared across dimensions: the value of a perfectly uniform sphere depends on d (about
−4 for large d).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import whole
from modalgap.linalg import blocks
from modalgap.measure.base import Measure, Side
from modalgap.measure.intervals import jackknife_of_items
from modalgap.progress import progress
from modalgap.result import Value

CARD = Card(
    name="uniformity",
    group="How does each modality fill its space?",
    traits=("size",),
    roles=("modality",),
    title="Uniformity",
    question="Does one modality use the whole sphere?",
    idea=(
        "The logarithm of the mean Gaussian kernel between distinct items of one modality;"
        " lower is more uniform."
    ),
    equation=r"\log \operatorname{mean}_{i \ne j} e^{-2 \lVert u_i - u_j \rVert^2}",
    source="Wang & Isola 2020, section 4.1.2",
    direction="lower",
    low=-8.0,
    high=0.0,
    interval="jackknife over images, from the row sums of the kernel",
)


LARGE = 64  # rows of a cluster from which a matrix product is faster


def _uniformity(side: Side, *, max_rows: int = 10_000, seed: int = 0) -> Value:
    """At most ``max_rows`` rows, drawn with ``seed``; the cost is quadratic in this number."""
    whole("max_rows", max_rows, 2)
    chosen = side.sample(max_rows, seed)
    rows = side.embeddings.take(chosen)
    n = len(rows)
    sums = _kernel_row_sums(rows)
    total = sums.sum()
    clusters, codes = np.unique(side.clusters[chosen].numpy(), return_inverse=True)
    size = np.bincount(codes).astype(np.float64)
    # without a cluster: subtract its rows and columns, and add its inner pairs, subtracted twice
    left = total - 2 * np.bincount(codes, sums) + _kernel_inside(rows, codes, len(clusters))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(total / (n * (n - 1)))
        leaves = np.log(left / ((n - size) * (n - size - 1)))
    return Value(float(value), jackknife_of_items(float(value), leaves, CARD.low, CARD.high))


def _kernel_row_sums(rows: Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(n,) Σ_{j≠i} exp(−2‖u_i − u_j‖²), with ‖u − v‖² = 2 − 2cos."""
    n = len(rows)
    sums = torch.empty(n, dtype=torch.float64)
    spans = list(blocks(n, n))
    kernel = torch.empty(spans[0][1], n)
    with progress("uniformity", n) as advance:
        for a, b in spans:
            block = torch.mm(rows[a:b], rows.T, out=kernel[: b - a]).sub_(1).mul_(4).exp_()
            block[torch.arange(b - a), torch.arange(a, b)] = 0
            sums[a:b] = block.sum(1)
            advance(b - a)
    return sums.numpy()


def _kernel_inside(
    rows: Tensor, codes: np.ndarray[tuple[int], np.dtype[np.int64]], clusters: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(clusters,) the kernel summed over ordered distinct pairs of one cluster."""
    inside = np.zeros(clusters)
    order = np.argsort(codes, kind="stable")
    ordered, sorted_codes = rows[torch.from_numpy(order)], codes[order]
    sizes = np.bincount(codes)
    ends = np.cumsum(sizes)
    for code in np.flatnonzero(sizes > LARGE):
        inside[code] = _kernel_row_sums(ordered[ends[code] - sizes[code] : ends[code]]).sum()
    small = sizes[codes[order]] <= LARGE
    ordered, sorted_codes = ordered[torch.from_numpy(small)], sorted_codes[small]
    for apart in range(1, int(np.where(sizes > LARGE, 0, sizes).max())):
        same = np.nonzero(sorted_codes[apart:] == sorted_codes[:-apart])[0]
        first = torch.from_numpy(same)
        cosine = (ordered[first] * ordered[first + apart]).sum(1).double()
        inside += 2 * np.bincount(sorted_codes[same], (4 * (cosine - 1)).exp().numpy(), clusters)
    return inside


uniformity = Measure(CARD, _uniformity)
