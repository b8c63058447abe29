"""Pairs that the tests of robustness share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.cases import Case

from modalgap.evaluate import Outcome

Ints = NDArray[np.int64]


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


def nearest(queries: Any, stored: Any) -> Ints:
    return np.asarray(queries @ stored.T).argmax(1)


def noisy_pair(n: int = 400, d: int = 24) -> Case:
    random = np.random.default_rng(3)
    text = random.normal(size=(n, d))
    return Case(text + 0.6 * random.normal(size=(n, d)), text)
