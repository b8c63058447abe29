"""The contrastive loss itself, and how it would change if the gap were wider or narrower.

Equations: InfoNCE = ½ (CE over rows + CE over columns) of ⟨x_i, y_j⟩/τ in batches of matched pairs.
Landscape: the same after x ← norm(x − ½δ ĝ), y ← norm(y + ½δ ĝ), ĝ the unit gap from text to image
(δ > 0 closes it), against the distance between the shifted means. Source: Liang et al. 2022,
section 4, figure 3 (embedding shift experiment).
Relations: the gap at the minimum of the landscape is the gap that this loss favours at this
temperature.
Fails when: compared across batch sizes: the loss grows with the logarithm of the batch size.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import needs, sample, whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import mean_interval
from modalgap.progress import progress
from modalgap.result import Value

SHIFTS = np.arange(-5.0, 5.25, 0.25)
SCALES = (100.0, 50.0, 30.0, 20.0, 10.0, 1.0)

CARD = Card(
    name="infonce",
    group="What does the contrastive loss say?",
    traits=("order", "size"),
    title="InfoNCE loss",
    question="What is the contrastive loss of these embeddings?",
    idea="The symmetric InfoNCE loss at a temperature, in batches of matched pairs.",
    equation=r"-\tfrac{1}{2b} \sum_i \left[\log p(y_i \mid x_i) + \log p(x_i \mid y_i)\right]",
    source="Radford et al. 2021, section 2.3; Liang et al. 2022, section 4, figure 3",
    direction="lower",
    low=0.0,
    needs=("pairs",),
    interval="jackknife over batches",
)
LANDSCAPE = Card(
    name="loss_landscape",
    group="What does the contrastive loss say?",
    traits=("order", "sampled", "size"),
    title="Gap at the minimum of the loss",
    question="Is the contrastive loss lowest at this gap?",
    idea=(
        "The distance between the means at which InfoNCE is lowest if both modalities are"
        " shifted along the gap, on a grid of shifts 0.25 apart."
    ),
    equation=r"\lVert \mu_x^\delta - \mu_y^\delta \rVert \text{ at } \arg\min_\delta L(\delta)",
    source="Liang et al. 2022, section 4, figure 3",
    direction="neither",
    low=0.0,
    high=2.0,
    needs=("pairs",),
    interval="none: the minimum of a curve on a grid; the curves are in the details",
)


def _batches(evidence: Evidence, batch: int, max_rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Matched rows (B, batch, d) of both sides, in order, each image with its first text."""
    whole("batch", batch, 2)
    whole("max_rows", max_rows, 2)
    image, text = evidence.pair.distinct_matches
    needs(
        evidence.pair.labels is None,
        "class prompts are shared, so a batch would hold false negatives",
    )
    chosen = sample(len(image), max_rows, seed)
    size = min(batch, len(chosen))
    needs(size >= 2, "it needs at least two matched pairs")
    chosen = chosen[: len(chosen) // size * size]
    x, y = evidence.pair.image.take(image[chosen]), evidence.pair.text.take(text[chosen])
    return x.view(-1, size, evidence.pair.dim), y.view(-1, size, evidence.pair.dim)


def _loss(logits: Tensor) -> Tensor:
    """(...,) symmetric cross-entropy of logits (..., b, b) whose matches are on the diagonal."""
    own = logits.diagonal(dim1=-2, dim2=-1)
    return (logits.logsumexp(-1) + logits.logsumexp(-2)).mean(-1) / 2 - own.mean(-1)


def _infonce(
    evidence: Evidence,
    *,
    temperature: float | None = None,
    batch: int = 50,
    max_rows: int = 10_000,
    seed: int = 0,
) -> Value:
    """``temperature``.

    By default the model's, if the file has it, else 0.01. Batches of ``batch``, at most
    ``max_rows`` pairs drawn with ``seed``.
    """
    tau = evidence.temperature(temperature)
    x, y = _batches(evidence, batch, max_rows, seed)
    losses = _loss((x @ y.mT).double() / tau).numpy()
    interval = mean_interval(np.arange(len(losses)), losses, CARD.low)
    return Value(float(losses.mean()), interval, {"temperature": tau, "batch": x.shape[1]})


def _loss_landscape(
    evidence: Evidence,
    *,
    temperature: float | None = None,
    batch: int = 50,
    max_rows: int = 2000,
    seed: int = 0,
) -> Value:
    """The value is at ``temperature``.

    The details hold the curves at 1/τ = 100, 50, 30, 20, 10, 1. Batches of ``batch``, at most
    ``max_rows`` pairs drawn with ``seed``.
    """
    tau = evidence.temperature(temperature)
    x, y = _batches(evidence, batch, max_rows, seed)
    flat_x, flat_y = x.flatten(0, 1).double(), y.flatten(0, 1).double()
    gap = flat_x.mean(0) - flat_y.mean(0)
    size = gap.norm()
    needs(
        float(size) > 1e-12,
        "there is no gap to shift along: the means of the matched rows are equal",
    )
    unit = gap / size
    along_x, along_y = x.double() @ unit, y.double() @ unit  # (B, b)
    cosine = (x @ y.mT).double()
    distances, losses = [], []
    scales = np.array([*SCALES, 1 / tau])
    with progress("loss against gap", len(SHIFTS)) as advance:
        for shift in SHIFTS:
            half = shift / 2
            long_x = (1 - 2 * half * along_x + half**2).clamp_min(1e-24).sqrt()
            long_y = (1 + 2 * half * along_y + half**2).clamp_min(1e-24).sqrt()
            # ⟨x − ½δĝ, y + ½δĝ⟩, a rank-one change of the cosines
            moved = cosine + half * (along_x[:, :, None] - along_y[:, None, :]) - half**2
            moved = moved / (long_x[:, :, None] * long_y[:, None, :])
            losses.append([float(_loss(moved * scale).mean()) for scale in scales])
            middle_x = ((flat_x - half * unit) / long_x.view(-1, 1)).mean(0)
            middle_y = ((flat_y + half * unit) / long_y.view(-1, 1)).mean(0)
            distances.append(float((middle_x - middle_y).norm()))
            advance(1)
    table = np.array(losses)  # (shifts, scales)
    lowest = table.argmin(0)
    return Value(
        distances[lowest[-1]],
        params={"temperature": tau, "batch": x.shape[1]},
        details={
            "shift": SHIFTS.tolist(),
            "distance": distances,
            "scale": list(SCALES),
            "loss": table[:, :-1].T.tolist(),
            "lowest_loss": table[lowest[:-1], range(len(SCALES))].tolist(),
            "lowest_distance": [distances[each] for each in lowest[:-1]],
            "own_lowest_loss": float(table[lowest[-1], -1]),  # at ``temperature``
        },
    )


infonce = Measure(CARD, _infonce)
loss_landscape = Measure(LANDSCAPE, _loss_landscape)
