"""Files that the tests of reading share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import modalgap as mg

N, M, D = 6, 9, 4
T2I = np.array([0, 1, 2, 3, 4, 5, 0, 0, 3])


def rows(n: int = N, seed: int = 0, d: int = D) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def stored(side: mg.Embeddings) -> NDArray[Any]:
    """The rows as they are in the file."""
    return side.rows.read(0, side.n).numpy()


def holds(pair: mg.Pair, image: NDArray[Any], text: NDArray[Any]) -> None:
    np.testing.assert_array_equal(stored(pair.image), image)
    np.testing.assert_array_equal(stored(pair.text), text)
