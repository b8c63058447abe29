"""A closed model in the format of its own library: what an adapter offers, and what folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from modalgap.errors import NotApplicable

AffineStep = tuple[Tensor | None, Tensor | None, bool]
"""A, (e, d) or the diagonal (d,) or None; b, (e,) or None; whether the result is normalised."""


@runtime_checkable
class Savable(Protocol):
    """An encoder that can save its model closed."""

    def save_closed(self, steps: Mapping[str, Sequence[AffineStep]], folder: Path) -> None:
        """Save the model, with a map after its towers, in the format of its library.

        Args:
            steps: modality to the steps of the map, float64; they take unit rows.
            folder: an empty folder.

        Raises:
            NotApplicable: the format cannot express the map.
        """
        ...


def folded(steps: Sequence[AffineStep], spec: str, role: str) -> Tensor | None:
    """The matrix (e, d) that gives the direction of the closed rows, or None for the identity.

    Towers give rows f of any length, and a map acts on f / ‖f‖. A linear map commutes with this
    division: norm(A f / ‖f‖) = norm(A f), so A folds into the weights. An offset does not:
    A f / ‖f‖ + b has the direction of A f + ‖f‖ b, and ‖f‖ differs between items.

    Raises:
        NotApplicable: a step has an offset, or the last one does not normalise.
    """
    if any(offset is not None and bool(offset.any()) for _, offset, _ in steps):
        raise NotApplicable(
            f"{spec}: the map of {role}s has an offset, which does not fold into weights: it is"
            " added after rows are normalised, so before that it would depend on their length; save"
            " the model through st: instead, or use a map without offset, such as drop_dims"
        )
    if steps and not steps[-1][2]:
        raise NotApplicable(
            f"{spec}: the map of {role}s must end in a normalisation to fold into weights, because"
            " the length of the features is not that of unit rows"
        )
    whole: Tensor | None = None
    for matrix, _, _ in steps:
        if matrix is None:
            continue
        matrix = torch.diag(matrix) if matrix.ndim == 1 else matrix
        whole = matrix if whole is None else matrix @ whole
    return whole
