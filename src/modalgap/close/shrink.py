"""Shrinkage of covariances, so that they can be inverted for any number of rows."""

from __future__ import annotations

import numpy as np

from modalgap import linalg
from modalgap.close.step import Floats
from modalgap.errors import NotApplicable, OptionError, quoted


def check_shrinkage(value: float | None) -> None:
    """Refuse a shrinkage that is not a number from 0 to 1."""
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1
    if value is not None and wrong:
        raise OptionError(f"shrinkage must be a number from 0 to 1; got {quoted(value)}")


def oas(covariance: Floats, n: int) -> float:
    """Shrinkage of a covariance of n rows: Chen, Wiesel, Eldar & Hero 2010, equation 23."""
    d = len(covariance)
    mean = float(np.trace(covariance)) / d
    square = float((covariance**2).mean())
    top = square + mean**2
    bottom = (n + 1) * (square - mean**2 / d)
    return 1.0 if bottom <= 0 else min(top / bottom, 1.0)


def shrunk(covariance: Floats, n: int, value: float | None, role: str) -> tuple[Floats, float]:
    """(1−ρ) Σ + ρ (tr Σ/d) I, and ρ.

    Raises:
        NotApplicable: all rows are the same, or the matrix is singular in spite of ρ.
    """
    d = len(covariance)
    mean = float(np.trace(covariance)) / d
    if mean <= 1e-12:
        raise NotApplicable(f"all rows of the {role}s are the same")
    rho = oas(covariance, n) if value is None else float(value)
    found = (1 - rho) * covariance + rho * mean * np.eye(d)
    if linalg.eigenvalues(found)[0] <= 1e-9 * mean:
        raise NotApplicable(
            f"the covariance of {n} {role} rows in {d} columns is singular; use a shrinkage above 0"
        )
    return found, rho
