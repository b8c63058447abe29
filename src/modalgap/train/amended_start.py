"""The amended start: rotate text features onto image features before the first step.

Equation: R = UVᵀ from the SVD UΣVᵀ of Σ_i x_i y_iᵀ at initialisation; y ↦ R y throughout.
Source: Liang et al. 2022 (amended initialisation). Relations: ``close.procrustes``, which rotates
about the means and after training; here the means are rotated onto each other too, which closes
most of the gap. R is multiplied into the weights of the last layer, so that the model keeps its
architecture; AdamW then trains R with them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap import linalg
from modalgap.train.batches import Batch
from modalgap.train.step import Towers

PAIRS = 2048


def turn(model: torch.nn.Module, batch: Batch, part: int = 256) -> Tensor:
    """R (d, d), from features of ``batch`` under the current model."""
    towers = Towers(model)
    was = model.training
    model.eval()
    sums: Tensor | None = None
    with torch.no_grad():
        for start in range(0, len(batch.ids), part):
            some = slice(start, start + part)
            x, y, *_ = towers(
                batch.images[some], batch.ids[some], tuple(each[some] for each in batch.others)
            )
            product = x.double().T @ y.double()
            sums = product if sums is None else sums + product
    model.train(was)
    assert sums is not None  # noqa: S101 - a batch has pairs
    U, _, Vt = linalg.svd(sums)
    result: Tensor = U @ Vt
    return result
