"""Density: two-dimensional histograms of all rows of large data, at all steps in one pass.

A histogram is a sum over rows, so any number of rows takes the memory of one chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from modalgap.embeddings.rows import CHUNK
from modalgap.evaluate.base import Ints
from modalgap.explore.maps import Map
from modalgap.explore.plots import BINS, SHADES
from modalgap.explore.scene import Scene
from modalgap.explore.steps import Step, mover
from modalgap.progress import progress

Density = dict[str, list[Ints]]  # name of a map to the counts (BINS, BINS) of each modality


def densities(
    scene: Scene, maps: Sequence[Map], steps: Sequence[Step], limits: Mapping[str, Sequence[float]]
) -> list[Density]:
    """Counts of all rows in a grid over each map, at each step.

    Args:
        scene: its ``whole`` is counted; closers are fitted to its shown rows.
        maps: the projections.
        steps: closers and strengths.
        limits: name of a map to (left, right, bottom, top); rows outside count at the border.
    """
    sides = scene.whole.sides
    movers = [mover(scene, step) for step in steps]
    found: list[Density] = [
        {each.name: [np.zeros((BINS, BINS), np.int64) for _ in sides] for each in maps}
        for _ in steps
    ]
    with progress("density", sum(side.n for side in sides)) as advance:
        for place, side in enumerate(sides):
            for _, rows in side.chunks(CHUNK):
                for counts, move in zip(found, movers, strict=True):
                    moved = rows if move is None else torch.from_numpy(move(rows, side.modality))
                    for each in maps:
                        add(counts[each.name][place], each, moved, limits[each.name])
                advance(len(rows))
    return found


def add(counts: Ints, projection: Map, rows: torch.Tensor, limits: Sequence[float]) -> None:
    """Add rows (n, d) to counts (BINS, BINS): row of the grid from the bottom, then column."""
    left, right, bottom, top = limits
    points = (rows - projection.middle.float()) @ projection.axes.float()
    low = torch.tensor([left, bottom], dtype=torch.float32)
    width = torch.tensor([right - left, top - bottom], dtype=torch.float32)
    cells = ((points - low) / width * BINS).long().clamp_(0, BINS - 1)
    flat = (cells[:, 1] * BINS + cells[:, 0]).numpy()
    counts += np.bincount(flat, minlength=BINS * BINS).reshape(BINS, BINS)


def shades(counts: Ints) -> list[int]:
    """The shade of each cell, 0 for an empty one; on a logarithmic scale."""
    most = max(1, int(counts.max()))
    scale = (SHADES - 1) / np.log1p(most)
    found: list[int] = np.ceil(np.log1p(counts) * scale).astype(int).reshape(-1).tolist()
    return found
