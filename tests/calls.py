"""Functions that workers call, where new interpreters can import them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modalgap import errors

CALLS = [(a, a + 5) for a in range(0, 60, 5)]


def drawing(_worker: int) -> Callable[[int, int], Any]:
    def draw(a: int, b: int) -> Any:
        time.sleep(0.01 * (a % 3))  # so that calls do not end in their order
        return np.random.default_rng((a, b)).normal(size=b - a)

    return draw


def failing(worker: int) -> Callable[[int, int], int]:
    del worker

    def fail(a: int, b: int) -> int:
        if a == 10:
            raise errors.NotApplicable(f"call {a} … {b}")
        return a

    return fail
