"""The only shared maths: unit rows, chunks of similarity, decompositions.

Everything takes and gives torch tensors. Rows are (n, d). Sums that matter are in float64.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

# Working memory for one block of similarities, in bytes. Two blocks may live at once.
BLOCK_BYTES = 64 * 2**20


@functools.cache
def keep_freed_memory() -> None:
    """Let blocks of a few MB be reused rather than given back to the system and faulted in again.

    glibc raises both of its thresholds to the largest block that it has seen freed, up to 32 MB.
    Without one such block, half the time of a pass over a file goes into page faults.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def norms(rows: Tensor) -> Tensor:
    """Euclidean norms (n,) in float64, right for any finite row, however large or small."""
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1).double()
    # float32 squares overflow above 1e19 and vanish below 1e-19; redo only such rows, scaled
    odd = ~((lengths > 1e-15) & (lengths < 1e15))
    if odd.any():
        some, scale = _scaled(rows[odd])
        relative = torch.linalg.vector_norm(some, dim=1)
        largest = torch.finfo(torch.float64).max  # a norm may overflow where no entry does
        whole = (relative * scale[:, 0]).clamp(max=largest)
        lengths[odd] = torch.where(relative.isfinite(), whole, relative)
    return lengths


def _scaled(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, d) over their largest entries (n, 1), and these; 1 where zero or not finite."""
    wide = rows.double()
    scale = wide.abs().amax(dim=1, keepdim=True)
    scale = torch.where((scale > 0) & scale.isfinite(), scale, torch.ones_like(scale))
    return wide / scale, scale


def to_unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their norms.

    Args:
        rows: (n, d), any floating dtype.

    Returns:
        (n, d) float32 unit rows, and (n,) float64 norms before. A norm that is zero or not finite
        is left for the caller to refuse.
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
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0).clamp_min(0.0), vectors.flip(1)


def top_directions(values: Tensor, share: float) -> int:
    """How many leading eigenvalues hold at least ``share`` of their sum."""
    total = values.sum()
    if total <= 0:
        return 0
    held = values.cumsum(0) / total
    return min(len(values), int((held < share - 1e-12).sum()) + 1)
