"""Shared mathematics: unit rows, blocks of similarities, decompositions.

Functions take and return torch tensors. Rows are (n, d). Sums over many rows are in float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Working memory for one block of similarities, in bytes. Two blocks may exist at once.
BLOCK_BYTES = 64 * 2**20
# Matrices with at most this many entries are decomposed on one thread.
SMALL = 1024 * 1024

Matrix = TypeVar("Matrix", Tensor, NDArray[np.float64])


@functools.cache
def keep_freed_memory() -> None:
    """Let blocks of a few MB be reused instead of returned to the system and allocated again.

    glibc raises both of its thresholds to the largest block that it has seen freed, up to 32 MB.
    Without one such block, half the time of a pass over a file is spent on page faults.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def norms(rows: Tensor) -> Tensor:
    """Euclidean norms (n,) in float64, correct for any finite row, however large or small."""
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1).double()
    # float32 squares overflow above 1e19 and vanish below 1e-19; redo only such rows, scaled
    odd = ~((lengths > 1e-15) & (lengths < 1e15))
    if odd.any():
        some, scale = _scaled(rows[odd])
        relative = torch.linalg.vector_norm(some, dim=1)
        largest = torch.finfo(torch.float64).max  # a norm may overflow even if no entry does
        whole = (relative * scale[:, 0]).clamp(max=largest)
        lengths[odd] = torch.where(relative.isfinite(), whole, relative)
    return lengths


def _scaled(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, d) divided by their largest entries (n, 1), and these; 1 if zero or not finite."""
    wide = rows.double()
    scale = wide.abs().amax(dim=1, keepdim=True)
    scale = torch.where((scale > 0) & scale.isfinite(), scale, torch.ones_like(scale))
    return wide / scale, scale


def to_unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their norms.

    Args:
        rows: (n, d), any floating dtype.

    Returns:
        (n, d) float32 unit rows, and (n,) float64 norms before. The caller must refuse norms
        that are zero or not finite.
    """
    ours = rows.dtype in (torch.float16, torch.bfloat16)  # a copy, which may be overwritten
    rows = rows.float() if ours else rows
    lengths = norms(rows)
    if rows.dtype is torch.float64 or not (lengths.min() > 1e-15 and lengths.max() < 1e15):
        wide, _ = _scaled(rows)
        return (wide / torch.linalg.vector_norm(wide, dim=1, keepdim=True)).float(), lengths
    inverse = lengths.reciprocal().float()[:, None]
    return rows.mul_(inverse) if ours else rows * inverse, lengths


def blocks(n: int, columns: int, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Ranges of rows such that (rows, columns) float32 fits the budget, at least one row each."""
    step = max(1, min(n, 512, budget // (4 * max(1, columns))))
    for start in range(0, n, step):
        yield start, min(n, start + step)


def psd_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (d,) descending and clipped at zero, and eigenvectors (d, d) in columns."""
    values, vectors = eigh(matrix)
    return values.flip(0).clamp_min(0.0), vectors.flip(1)


def eigh(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Eigenvalues (d,) ascending, and eigenvectors (d, d) in columns, of a symmetric matrix."""
    values, vectors = _decompose(torch.linalg.eigh, matrix)
    return values, vectors


def eigenvalues(matrix: Matrix) -> Matrix:
    """Eigenvalues (d,), ascending, of a symmetric matrix."""
    return _decompose(torch.linalg.eigvalsh, matrix)[0]


def svd(matrix: Matrix, *, full: bool = True) -> tuple[Matrix, Matrix, Matrix]:
    """U, singular values descending, and Vᵀ; with ``full``, U and Vᵀ are square."""
    left, values, right = _decompose(torch.linalg.svd, matrix, full_matrices=full)
    return left, values, right


def singular_values(matrix: Matrix) -> Matrix:
    """Singular values, descending."""
    return _decompose(torch.linalg.svdvals, matrix)[0]


def qr(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Q (n, min(n, d)) with orthonormal columns and the upper triangular R."""
    q, r = _decompose(torch.linalg.qr, matrix)
    return q, r


def solve(matrix: Matrix, right: Matrix) -> Matrix:
    """The X (d, k) with ``matrix`` @ X = ``right``, for a square matrix of full rank."""
    return _decompose(torch.linalg.solve, matrix, right)[0]


def pseudo_inverse(matrix: Matrix) -> Matrix:
    """The Moore-Penrose inverse (p, d) of a matrix (d, p)."""
    return _decompose(torch.linalg.pinv, matrix)[0]


def _decompose(
    operation: Callable[..., Any], *matrices: Matrix, **options: Any
) -> tuple[Matrix, ...]:
    """The results of a decomposition, as arrays for arrays and as tensors for tensors."""
    arrays = isinstance(matrices[0], np.ndarray)
    tensors = [torch.from_numpy(np.array(m)) if isinstance(m, np.ndarray) else m for m in matrices]
    with one_thread() if max(m.numel() for m in tensors) <= SMALL else nullcontext():
        found = operation(*tensors, **options)
    results = (found,) if isinstance(found, Tensor) else tuple(found)
    return tuple(each.numpy() if arrays else each for each in results)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block on one CPU thread.

    Decompositions of small matrices synchronise their threads many thousands of times. They gain
    nothing from a second thread, and wait for it each time if other processes run.
    """
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def principal_axes(rows: Tensor, count: int) -> tuple[Tensor, list[float]]:
    """(d, count) first principal axes of centred rows, and the fraction of the variance on each.

    The largest entry of each axis is positive.
    """
    wide = rows.shape[1] > len(rows)
    _, vectors = eigh(rows @ rows.T if wide else rows.T @ rows)
    axes = vectors.flip(1)[:, :count]
    if wide:
        axes = rows.T @ axes
    axes = axes / axes.norm(dim=0).clamp_min(1e-300)
    largest: Tensor = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    axes = axes * largest.sign()
    total = max(float(rows.square().sum()), 1e-300)  # all rows can be equal
    return axes, ((rows @ axes).square().sum(0) / total).tolist()


def top_directions(values: Tensor, share: float) -> int:
    """How many leading eigenvalues hold at least ``share`` of their sum."""
    total = values.sum()
    if total <= 0:
        return 0
    held = values.cumsum(0) / total
    return min(len(values), int((held < share - 1e-12).sum()) + 1)
