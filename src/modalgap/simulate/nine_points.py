"""Nine points on two circles of a sphere: the loss against the gap, if two labels are swapped.

Images are at height z on the unit sphere, texts at height -z, at the same nine longitudes: eight
multiples of 45°, and 275.4°, close to 270°. The labels of two points are swapped, or none are.
Equation: ⟨x_i, y_j⟩ = (1 − z²) cos(φ_i − φ_j) − z². The last term is the same for all pairs, so the
loss depends on β = (1 − z²) / τ alone, and is lowest at 1 − z² = β* τ.
Source: Liang et al. 2022, appendix (the loss on a sphere, nine points).
Expected: with all labels in order, the loss is lowest at the closed gap at every temperature. With
two labels swapped it is lowest at a gap once 1/τ is above β*. The distance of means is 2|z|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, fits, several, whole
from modalgap.errors import OptionError
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.circle import best_sharpness, circle, losses, lowest, scales_of

POINTS = 9
LAST = 275.4  # degrees, 1.53 π: near the point at 270
CARD = Card(
    name="nine_points",
    title="Nine points on a sphere",
    idea="Computes InfoNCE of nine pairs at heights z and -z, with and without two swapped labels.",
    equation=r"\langle x_i, y_j \rangle = (1 - z^2) \cos(\varphi_i - \varphi_j) - z^2",
    source="Liang et al. 2022, appendix",
    question="At which gap is the loss lowest if two labels are swapped?",
)
HEADS = {
    "lowest_swapped": "lowest loss, swapped",
    "height_swapped": "at |z|",
    "closed_swapped": "closed form of |z|",
    "lowest_in_order": "lowest loss, in order",
    "height_in_order": "at |z|, in order",
    "closed_in_order": "closed form of |z|, in order",
}


@checked
def _nine_points(
    *,
    scales: Several[float] = (1, 5, 10, 50, 100, 500, 1000),
    swap: Sequence[int] = (3, 8),
    heights: int = 101,
) -> Table:
    """InfoNCE against the height of the points, with and without two swapped labels.

    Args:
        scales: values of 1/τ.
        swap: the two points whose labels are swapped, numbered from 0: point k is at 45k degrees,
            point 8 at 275.4 degrees.
        heights: number of values of z of the curves, from -1 to 1. A search adds values near the
            minimum.

    Returns:
        One row per value of 1/τ, with the lowest loss, its height, and the height by the closed
        form. The curves over z are in ``lowest_swapped`` and ``lowest_in_order``.

    Raises:
        OptionError: an option outside its range.
    """
    scales = scales_of(scales)
    two = several("swap", swap)
    for each in two:
        whole("swap", each, 0, POINTS - 1)
    if len(two) != 2 or two[0] == two[1]:
        raise OptionError(f"swap must be two different points; got {two}")
    whole("heights", heights, 2)
    fits("heights", 24.0 * heights * POINTS**2)
    z = torch.linspace(-1, 1, heights, dtype=torch.float64)
    longitude = torch.deg2rad(
        torch.tensor([*(45.0 * k for k in range(8)), LAST], dtype=torch.float64)
    )
    owners = {"swapped": torch.arange(POINTS), "in_order": torch.arange(POINTS)}
    owners["swapped"][two] = torch.tensor(two[::-1])
    best = {name: best_sharpness(longitude, own) for name, own in owners.items()}
    rows: dict[str, dict[str, Value]] = {}
    with progress("points on a sphere", len(scales)) as advance:
        for scale in scales:
            row = rows[f"1/τ = {scale:g}"] = {}
            for name, own in owners.items():
                at, curve = lowest(partial(_losses, longitude=longitude, own=own, scale=scale), z)
                row[f"lowest_{name}"] = curve
                row[f"height_{name}"] = Value(at)
                row[f"closed_{name}"] = Value(math.sqrt(max(0.0, 1 - best[name] / scale)))
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="temperature",
        rows=rows,
        heads=HEADS,
        settings={"scales": scales, "swap": two, "heights": heights},
        notes=[
            f"swapped: the labels of points {two[0]} and {two[1]}, numbered from 0; the loss is"
            f" lowest at (1 - z²) / τ = {best['swapped']:.4f}, and at z = 0 if 1/τ is smaller",
        ],
    )


nine_points = Simulation(CARD, _nine_points)


def _losses(z: Tensor, longitude: Tensor, own: Tensor, scale: float) -> Tensor:
    """The loss (k,) at heights z (k,)."""
    latitude = torch.asin(z.clamp(-1, 1))
    return losses(circle(longitude, latitude) @ circle(longitude, -latitude).mT, own, scale)
