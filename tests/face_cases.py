"""Pairs and registries that the tests of the Python interface share."""

from __future__ import annotations

from typing import Any

import numpy as np

import modalgap as mg


def sides(n: int = 40, d: int = 8, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) + 1
    return x, x + random.normal(size=(n, d)) - 1


X, Y = sides()
PAIR = mg.Pair(X, Y)
