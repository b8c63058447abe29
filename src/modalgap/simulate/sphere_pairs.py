"""Six pairs on a sphere: where the contrastive loss is lowest if two pairs are mismatched.

Images are on the equator, texts above or below them at latitude Δθ; the texts of the first two
images are swapped, or none are. The loss is computed for every Δθ.
Equation: ⟨x_i, y_j⟩ = cos Δθ · cos(φ_i − φ_j), so the loss depends on β = cos Δθ / τ alone. It is
convex in β: with a swap it is lowest at one β*, that is, at cos Δθ = β* τ.
Source: Liang et al. 2022, section 4.3, figure 3b.
Expected: without a swap the minimum is at 0°. With a swap and a temperature below 1/β*, the minimum
is at a gap, Δθ > 0, because a gap makes wrong predictions less confident.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, fits, whole
from modalgap.errors import OptionError
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.circle import best_sharpness, circle, losses, lowest, scales_of

START = -20.0  # degrees, longitude of the first image
CARD = Card(
    name="sphere_pairs",
    title="Mismatched pairs on a sphere",
    idea="Computes InfoNCE of pairs on a sphere against the angle between images and texts.",
    equation=r"\langle x_i, y_j \rangle = \cos \Delta\theta \cos(\varphi_i - \varphi_j)",
    source="Liang et al. 2022, section 4.3, figure 3b",
    question="At which gap is the loss lowest if two pairs are mismatched?",
)
HEADS = {
    "lowest_swapped": "lowest loss, swapped",
    "angle_swapped": "at |Δθ| in degrees",
    "closed_swapped": "closed form in degrees",
    "lowest_in_order": "lowest loss, in order",
    "angle_in_order": "at |Δθ| in degrees, in order",
    "closed_in_order": "closed form in degrees, in order",
    "loss_at_pole": "loss at 90°",
}


@checked
def _sphere_pairs(
    *,
    scales: Several[float] = (1, 5, 35, 50, 100),
    pairs: int = 6,
    apart: float = 20.0,
    step: float = 1.0,
) -> Table:
    """InfoNCE against the latitude of the texts, with and without a swap of two texts.

    Args:
        scales: values of 1/τ.
        pairs: number of pairs.
        apart: degrees of longitude between neighbouring images; the first is at -20.
        step: step of Δθ of the curves in degrees, from -90 to 90. A search adds values near the
            minimum.

    Returns:
        One row per value of 1/τ, with the lowest loss, its angle in degrees, and the angle by the
        closed form. The curves over Δθ are in ``lowest_swapped`` and ``lowest_in_order``.

    Raises:
        OptionError: an option outside its range, or images that coincide.
    """
    scales = scales_of(scales)
    whole("pairs", pairs, 2)
    at_least("apart", apart, 1e-3, 180)
    if pairs * apart > 360:
        raise OptionError(
            f"pairs and apart: pairs × apart must be at most 360 degrees; got {pairs} × {apart:g}"
            f" = {pairs * apart:g} degrees"
        )
    at_least("step", step, 1e-3, 90)
    each_side = int(90 / step + 1e-9)
    angles = step * torch.arange(-each_side, each_side + 1, dtype=torch.float64)
    fits("pairs, step", 24.0 * len(angles) * pairs**2)
    longitude = torch.deg2rad(START + apart * torch.arange(pairs, dtype=torch.float64))
    owners = {"swapped": torch.tensor([1, 0, *range(2, pairs)]), "in_order": torch.arange(pairs)}
    best = {name: best_sharpness(longitude, own) for name, own in owners.items()}
    rows = {}
    with progress("pairs on a sphere", len(scales)) as advance:
        for scale in scales:
            row: dict[str, Value] = {}
            for name, own in owners.items():
                loss = partial(_losses, longitude=longitude, own=own, scale=scale)
                at, curve = lowest(loss, angles)
                row[f"lowest_{name}"] = curve
                row[f"angle_{name}"] = Value(at)
                closed = math.degrees(math.acos(min(1.0, best[name] / scale)))
                row[f"closed_{name}"] = Value(closed)
            pole = torch.tensor([90.0], dtype=torch.float64)
            row["loss_at_pole"] = Value(float(_losses(pole, longitude, owners["in_order"], scale)))
            rows[f"1/τ = {scale:g}"] = row
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="temperature",
        rows=rows,
        heads=HEADS,
        settings={"scales": scales, "pairs": pairs, "apart": apart, "step": step},
        notes=[
            f"swapped: the texts of the first two of {pairs} images are swapped; the loss is"
            f" lowest at cos Δθ / τ = {best['swapped']:.4f}, and at Δθ = 0 if 1/τ is smaller",
        ],
    )


sphere_pairs = Simulation(CARD, _sphere_pairs)


def _losses(angles: Tensor, longitude: Tensor, own: Tensor, scale: float) -> Tensor:
    """The loss (k,) at latitudes (k,) of the texts in degrees."""
    images = circle(longitude, torch.zeros(1, dtype=torch.float64))
    return losses(images @ circle(longitude, torch.deg2rad(angles)).mT, own, scale)
