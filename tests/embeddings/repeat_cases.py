"""Pairs in which items repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

Floats = np.ndarray[Any, np.dtype[np.float64]]
RANDOM = np.random.default_rng


def unit(rows: Floats) -> Floats:
    found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


@st.composite
def many_to_many(draw: st.DrawFn) -> tuple[Floats, Floats, list[tuple[int, int]]]:
    """Rows on a coarse grid, so that scores tie, and any matches."""
    n, m = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    random = RANDOM(draw(st.integers(0, 2**32)))
    sides = [random.integers(-1, 2, (k, 3)).astype(float) for k in (n, m)]
    for side in sides:
        side[~side.any(1)] = 1.0
    match = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    pairs = draw(st.lists(match, min_size=1, max_size=20))
    return sides[0], sides[1], pairs


def emoji(n: int = 400, captions: int = 130, d: int = 24) -> tuple[Floats, Floats, list[str]]:
    """Pictures with few captions: (n, d) images, (n, d) one text for each, and the captions."""
    random = RANDOM(5)
    content = random.normal(size=(captions, d))
    which = random.integers(0, captions, n)
    x = content[which] + 1.2 * random.normal(size=(n, d)) + 2 * np.eye(d)[0]
    y = (content + 0.8 * random.normal(size=(captions, d)) - 2 * np.eye(d)[1])[which]
    return x.astype(np.float32), y.astype(np.float32), [f"caption {i}" for i in which]
