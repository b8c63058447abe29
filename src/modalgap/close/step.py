"""Step: one affine step of a map, optionally followed by normalisation; and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap import linalg
from modalgap.arguments import checked
from modalgap.errors import InputError

Floats = NDArray[np.float64]
LARGEST = float(np.finfo(np.float32).max)  # rows are closed in float32


@checked
@dataclass(frozen=True, eq=False)
class Step:
    """x ↦ A x + b, then normalised if ``unit`` is true.

    Attributes:
        matrix: A, (e, d); or (d,), a diagonal; or None, the identity.
        offset: b, (e,), or None.
        unit: whether the result is normalised to unit length.
    """

    matrix: Floats | None = None
    offset: Floats | None = None
    unit: bool = True

    def width(self, before: int) -> int:
        """Number of columns after this step.

        Args:
            before: number of columns before it.

        Raises:
            InputError: the shapes do not fit, or a number is not finite.
        """
        after = before
        if self.matrix is not None:
            if self.matrix.ndim not in (1, 2) or self.matrix.shape[-1] != before:
                raise InputError(
                    f"map: a matrix must take {before} columns; found shape {self.matrix.shape}"
                )
            after = self.matrix.shape[0]
            if after < 1:
                raise InputError("map: a matrix must give at least one column; found none")
        if self.offset is not None and self.offset.shape != (after,):
            raise InputError(
                f"map: an offset must have shape ({after},); found {self.offset.shape}"
            )
        for array in (self.matrix, self.offset):
            if array is not None and not (np.abs(array) <= LARGEST).all():
                raise InputError(
                    "map: every number must be finite, in float32 too; found nan, infinity or one"
                    " too large"
                )
        return after

    @property
    def invertible(self) -> bool:
        """Whether different unit rows always give different rows.

        This requires an invertible A. If the result is normalised, it also requires ‖A⁻¹ b‖ < 1,
        which holds for maps that subtract a mean: each ray from the origin then intersects the
        image of the unit sphere once.
        """
        if self.matrix is not None and self.matrix.ndim == 1:
            whole = bool((np.abs(self.matrix) > 1e-9 * np.abs(self.matrix).max()).all())
        elif self.matrix is not None:
            rows, columns = self.matrix.shape
            whole = rows == columns and _invertible(self.matrix)
        else:
            whole = True
        if not whole or self.offset is None or not self.unit:
            return whole
        return bool(lengths(self._solve(torch.from_numpy(self.offset)[None])) < 1)

    def undo(self, rows: Tensor) -> Tensor:
        """The unit rows that this step maps to ``rows``, if it is invertible.

        For x ↦ norm(A x + b): x = A⁻¹(t v − b) with the only t > 0 for which x has unit length.

        Args:
            rows: (n, e) float64.

        Returns:
            (n, d).
        """
        offset = torch.zeros(rows.shape[1], dtype=torch.float64)
        if self.offset is not None:
            offset = torch.from_numpy(self.offset)
        if not self.unit:
            return self._solve(rows - offset)
        p, q = self._solve(rows / lengths(rows)), self._solve(offset[None])
        a, b, c = (p * p).sum(1), -2 * (p * q).sum(1), (q * q).sum(1) - 1
        t = (-b + (b * b - 4 * a * c).sqrt()) / (2 * a)  # c < 0: one root is above 0
        return t[:, None] * p - q

    def _solve(self, rows: Tensor) -> Tensor:
        """(n, d): A⁻¹ r for each row r."""
        if self.matrix is None:
            return rows
        matrix = torch.from_numpy(self.matrix)
        return rows / matrix if matrix.ndim == 1 else linalg.solve(matrix, rows.T).T


def _invertible(matrix: Floats) -> bool:
    """Whether the condition number of a square matrix is below 10⁶."""
    values = linalg.singular_values(matrix)
    return bool(values[0] < 1e6 * values[-1])


def lengths(rows: Tensor) -> Tensor:
    """(n, 1) Euclidean lengths."""
    result: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return result
