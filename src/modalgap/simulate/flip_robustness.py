"""Flips and the gap: noise on two stored texts changes the answer less often if the gap is small.

One image x, two texts y₁ and y₂; the gap is orthogonal to y₂ − y₁ and the image is nearer to y₁.
The image moves along the gap. The answer is the text that is nearer under noise N(0, σ² I) on both
texts; a flip is a change of the answer.
Equations: by distance, ‖x − y₂ − ε₂‖² − ‖x − y₁ − ε₁‖² has the mean ‖x − y₂‖² − ‖x − y₁‖², which
does not depend on the gap, and the variance 4σ²(‖x − y₁‖² + ‖x − y₂‖²) + 4σ⁴d, which grows with it;
the share of flips is about Φ(−mean/sd), because the difference is nearly normal. By inner product
it is Φ(−(x·y₁ − x·y₂)/(σ‖x‖√2)), exactly (``modalgap.evaluate.flip``); the origin is the middle of
the texts.
Source: Chowers et al. 2026, theorem 3.4 and equation 10 (Rob is one minus the share of flips).
Expected: the share of flips rises with the gap; closing it makes answers robust.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, fits, several, whole
from modalgap.errors import OptionError
from modalgap.evaluate.flip import flip_probability
from modalgap.measure.intervals import wilson
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.trace import traced

CARD = Card(
    name="flip_robustness",
    title="Flips and the gap",
    idea="Counts how often noise on two texts changes the answer of an image, for several gaps.",
    equation=r"P(\lVert x - y_1 - \epsilon_1 \rVert > \lVert x - y_2 - \epsilon_2 \rVert)",
    source="Chowers et al. 2026, theorem 3.4",
    question="Why does a wide gap make answers less robust?",
    traits=("random",),
)
HEADS = {
    "distance": "flips, by distance",
    "distance_form": "normal form, by distance",
    "product": "flips, by inner product",
    "product_form": "closed form, by inner product",
    "largest_difference": "largest |counted − form|",
    "half_width": "half of the widest interval",
}
Floats = NDArray[np.float64]


@checked
def _flip_robustness(
    dim: int = 64,
    *,
    gaps: Several[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4),
    variances: Several[float] = (0.005, 0.022, 0.04),
    separation: float = 0.5,
    nearer: float = 0.2,
    draws: int = 50_000,
    seed: int = 0,
) -> Table:
    """Count flips for each gap and each variance of the noise.

    Args:
        dim: number of dimensions.
        gaps: distances of the image from the texts along the gap.
        variances: σ² of the noise in each dimension.
        separation: distance between the two texts.
        nearer: distance of the image from the middle of the texts, toward the first text.
        draws: draws of the noise.
        seed: seed of the noise; every gap and variance uses the same draws.

    Returns:
        One row per variance: shares of flips at the largest gap with intervals, and by formula,
        each with the curve over the gaps.

    Raises:
        OptionError: an option outside its range.
    """
    gaps, variances = several("gaps", gaps, least=1), several("variances", variances, least=1)
    _check(dim, gaps, variances, separation, nearer, draws, seed)
    settings = {"dim": dim, "gaps": gaps, "variances": variances, "separation": separation,
                "nearer": nearer, "draws": draws, "seed": seed}  # fmt: skip
    noise = [_drawn(np.random.default_rng((seed, side)), dim, draws) for side in range(2)]
    gaps = sorted(gaps)
    rows = {}
    for variance in variances:
        sigma = math.sqrt(variance)
        found = [_flips(gap, sigma, separation, nearer, noise) for gap in gaps]
        forms = [_forms(gap, sigma, separation, nearer, dim) for gap in gaps]
        rows[f"σ² = {variance:g}"] = _row(gaps, np.array(found), np.array(forms), draws)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="noise",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            f"flips: at the largest gap, {gaps[-1]:g}; curves over all gaps",
            "intervals: 95 %, over draws; the closed form is exact, the normal form approximate",
        ],
    )


flip_robustness = Simulation(CARD, _flip_robustness)


def _check(
    dim: int, gaps: list[Any], variances: list[Any], separation: float, nearer: float, draws: int,
    seed: int,
) -> None:  # fmt: skip
    whole("dim", dim, 2)
    whole("draws", draws, 1)
    whole("seed", seed, 0)
    for name, values, low in (("gaps", gaps, 0.0), ("variances", variances, 1e-12)):
        if not values:
            raise OptionError(f"{name} must have at least one value; got none")
        for value in values:
            at_least(name, value, low, 1e6)
        distinct(name, [f"{value:g}" for value in values])
    at_least("separation", separation, 1e-9, 1e6)
    at_least("nearer", nearer, 0.0, 1e6)
    fits("draws", 8.0 * 20 * draws)


def _drawn(random: np.random.Generator, dim: int, draws: int) -> Floats:
    """Standard noise on one text (3, draws): along the texts, along the gap, squared length.

    The other dim − 2 components count only by their squared length, which is χ².
    """
    along, across = random.standard_normal((2, draws))
    rest = random.chisquare(dim - 2, draws) if dim > 2 else 0.0
    return np.stack([along, across, along**2 + across**2 + rest])


def _flips(
    gap: float, sigma: float, separation: float, nearer: float, noise: list[Floats]
) -> tuple[float, float]:
    """Shares of flips, by distance and by inner product."""
    squares, products = [], []
    for side, (along, across, length) in zip((1, -1), noise, strict=True):
        place = side * separation / 2  # the texts lie at ±separation/2, the image at (nearer, gap)
        pull = (place - nearer) * along - gap * across
        squares.append((place - nearer) ** 2 + gap**2 + 2 * sigma * pull + sigma**2 * length)
        products.append(place * nearer + sigma * (nearer * along + gap * across))
    return float(np.mean(squares[0] > squares[1])), float(np.mean(products[0] < products[1]))


def _forms(
    gap: float, sigma: float, separation: float, nearer: float, dim: int
) -> tuple[float, float]:
    """The normal form by distance, and the closed form by inner product."""
    first, second = (gap**2 + (side * separation / 2 - nearer) ** 2 for side in (1, -1))
    spread = math.sqrt(4 * sigma**2 * (first + second) + 4 * sigma**4 * dim)
    normal = 0.5 * math.erfc((second - first) / spread / math.sqrt(2))
    length = math.hypot(nearer, gap)
    if length == 0.0:
        return normal, 0.0  # an image at the origin scores 0 with every text: nothing can change
    scores = np.array([[separation / 2 * nearer, -separation / 2 * nearer]])
    return normal, float(flip_probability(scores, sigma, lengths=length)[0])


def _row(gaps: list[float], found: Floats, forms: Floats, draws: int) -> dict[str, Value]:
    ends = [[wilson(float(share), draws) for share in column] for column in found.T]
    names = (("distance", 0), ("product", 1))
    row = {}
    for name, i in names:
        row[name] = traced(found[-1, i], gaps, found[:, i], ends[i][-1])
        row[f"{name}_form"] = traced(forms[-1, i], gaps, forms[:, i])
    row["largest_difference"] = Value(float(np.abs(found - forms).max()))
    row["half_width"] = Value(
        max((each[1] - each[0]) / 2 for column in ends for each in column if each)
    )
    return row
