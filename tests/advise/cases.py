"""Pairs that the tests of advice share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import modalgap as mg

Floats = NDArray[np.float32]


def small(n: int = 60, d: int = 16, seed: int = 0, gap: float = 1.0) -> mg.Pair:
    """Matched rows with noise, a gap apart."""
    random = np.random.default_rng(seed)
    content = random.normal(size=(n, d))
    between = gap * np.sqrt(d) * np.eye(d)[0]
    return mg.Pair(
        content + 0.5 * random.normal(size=(n, d)) + between,
        content + 0.5 * random.normal(size=(n, d)) - between,
    )


def lopsided(n: int = 400, d: int = 24, seed: int = 0) -> mg.Pair:
    """Nine images in ten are of the first of two classes: their mean is content."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.1).astype(np.int64)
    prompts = np.eye(2, d) + 0.1
    images = prompts[labels] + 0.25 * random.normal(size=(n, d)) + 0.5 * np.eye(d)[5]
    return mg.Pair(images, prompts, labels=labels)
