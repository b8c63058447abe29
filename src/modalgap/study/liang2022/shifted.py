"""Shifts along the gap: the grid of the paper, shifted rows, and the signed distance of means."""

from __future__ import annotations

import numpy as np

from modalgap.close import AffineMap
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Floats

SHIFTS = np.arange(-5.0, 5.0, 0.25)  # 40 shifts, as in the code of the paper


def moved(pair: Pair, map_: AffineMap) -> tuple[Floats, Floats]:
    """Unit rows of images (n, d) and texts (m, d) after a map, float64."""
    found = map_.apply(pair)
    image, text = (side.unit().double().numpy() for side in found.sides)
    return image, text


def signed_distance(x: Floats, y: Floats, along: Pair) -> float:
    """Distance of means, negative if their order along the gap of ``along`` is reversed."""
    gap = np.subtract(*(side.unit().double().mean(0).numpy() for side in along.sides))
    between = x.mean(0) - y.mean(0)
    return float(np.linalg.norm(between) * (1 if between @ gap >= 0 else -1))
