"""Pairs that the tests of evaluate share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from reference.cases import two_cones

from modalgap.embeddings import Embeddings, Pair

Floats = NDArray[np.float64]


def pairs(n: int = 40, d: int = 8) -> Pair:
    return Pair(*two_cones(n, d))


def captions() -> Pair:
    of = np.arange(60) // 2
    return Pair(*two_cones(30, 8, of=of), of)


def prompts() -> Pair:
    """Everything that any task needs: labels, factors, names."""
    random = np.random.default_rng(0)
    words, labels = random.normal(size=(6, 8)), np.arange(60) % 6
    factors = {"race": np.array(["a", "b", "c"])[np.arange(60) // 20], "object": np.arange(60) % 4}
    image = Embeddings(words[labels] + random.normal(size=(60, 8)), factors=factors)
    return Pair(image, Embeddings(words, "text", names=list("uvwxyz")), labels=labels)
