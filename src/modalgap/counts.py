"""How even counts are: Gini coefficient and normalised entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gini(counts: Floats) -> float:
    """Gini coefficient of counts (C,)."""
    ordered, classes = np.sort(counts), len(counts)
    rank = np.arange(1, classes + 1)
    return float(((2 * rank - classes - 1) * ordered).sum() / (classes * ordered.sum()))


def normalised_entropy(counts: Floats) -> float:
    """Entropy of counts (C,) divided by log C."""
    share = counts[counts > 0] / counts.sum()
    return float(max(0.0, -(share * np.log(share)).sum()) / np.log(len(counts)))
