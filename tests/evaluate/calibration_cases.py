"""Scores that the tests of calibration share."""

from __future__ import annotations

import numpy as np
from reference.cases import Case

from modalgap.embeddings import Embeddings, Pair

GRID = np.linspace(-1, 1, 401)


def pair_of(case: Case) -> Pair:
    image, text = (
        Embeddings(rows, name, factors=case.factors)
        for rows, name in ((case.image, "image"), (case.text, "text"))
    )
    return Pair(image, text, case.text_to_image, case.labels)


def overlapping(n: int = 300, d: int = 12, seed: int = 0) -> Pair:
    """Matches score higher than the rest, but not all of them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d))
    return Pair(x + 0.5, x + 1.2 * random.normal(size=(n, d)) - 0.5)
