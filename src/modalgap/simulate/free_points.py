"""Free points on the sphere: the modality gap without a network or data.

Matched points start in two narrow cones, like the embeddings of an untrained model. Gradient
descent on the symmetric InfoNCE loss moves the points. The loss first matches the pairs; after that
its gradient is too small to close the gap. A higher temperature closes it.
Source: Liang et al. 2022, sections 2 and 4 (two cones at the start; the loss keeps them apart).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import at_least, fits, whole
from modalgap.embeddings import Embeddings, Pair
from modalgap.progress import progress
from modalgap.simulate.base import Simulation
from modalgap.simulate.motion import loss_of, similarities

CONE = 0.5  # mean cosine inside each cone at the start, about CLIP's
CARD = Card(
    name="free_points",
    title="Free points on the sphere",
    idea="Optimises InfoNCE over matched points that start in two narrow cones; returns a pair.",
    source="Liang et al. 2022, sections 2 and 4",
    question="Does the loss close a gap that exists at the start?",
    traits=("random",),
)


@checked
def _free_points(
    n: int = 500,
    dim: int = 64,
    *,
    temperature: float = 0.01,
    steps: int = 400,
    learning_rate: float = 0.003,
    batch: int = 250,
    seed: int = 0,
) -> Pair:
    """Optimise InfoNCE over free points that start in two narrow cones.

    Args:
        n: number of matched pairs.
        dim: number of dimensions.
        temperature: temperature of the loss; frozen.
        steps: steps of Adam, each on one random batch.
        learning_rate: learning rate of Adam.
        batch: pairs per batch.
        seed: seed of the start and of the batches.

    Returns:
        A pair of n images and n texts, (n, dim) float32 unit rows. The provenance has the options
        and the loss and the gap before and after.

    Raises:
        OptionError: an option outside its range.
    """
    for name, value, least in (
        ("n", n, 2),
        ("dim", dim, 2),
        ("steps", steps, 0),
        ("batch", batch, 2),
        ("seed", seed, 0),
    ):
        whole(name, value, least, 2**62)
    fits("n, dim", 4.0 * (5 * n * n + 24 * n * dim))
    for name, number in (("temperature", temperature), ("learning_rate", learning_rate)):
        at_least(name, number, 1e-6, 1e6)
    random = torch.Generator().manual_seed(seed)
    points = torch.stack([_cone(n, dim, random), _cone(n, dim, random)]).requires_grad_()
    before = _state(points, temperature)
    optimiser = torch.optim.Adam([points], lr=learning_rate)
    with progress("moving points", steps) as advance:
        for _ in range(steps):
            chosen = torch.randperm(n, generator=random)[: min(batch, n)]
            optimiser.zero_grad()
            _loss(points[:, chosen], temperature).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            advance(1)
    after = _state(points, temperature)
    image, text = normalize(points.detach(), dim=-1)
    provenance: Mapping[str, str] = {
        "simulation": "free_points",
        "seed": str(seed),
        "steps": str(steps),
        "batch": str(min(batch, n)),
        "learning_rate": f"{learning_rate:g}",
        "logit_scale": f"{1 / temperature:g}",
        "loss": f"{before[0]:.3f} at the start, {after[0]:.3f} at the end",
        "gap": f"{before[1]:.3f} at the start, {after[1]:.3f} at the end",
    }
    names = [f"point {i}" for i in range(n)]
    return Pair(
        Embeddings(image, "image", names, provenance=provenance),
        Embeddings(text, "text", names, provenance=provenance),
    )


free_points = Simulation(CARD, _free_points)


def _cone(n: int, dim: int, random: torch.Generator) -> Tensor:
    """(n, dim) unit rows whose mean cosine is about ``CONE``, around a random axis."""
    axis = normalize(torch.randn(dim, generator=random), dim=0)
    rows = torch.randn(n, dim, generator=random) / dim**0.5
    return normalize(rows + axis * (CONE / (1 - CONE)) ** 0.5, dim=1)


def _loss(points: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE of points (2, b, d)."""
    scale = torch.tensor(1 / temperature)
    return loss_of(similarities(points, "sphere"), scale, torch.tensor(0.0), "infonce")


def _state(points: Tensor, temperature: float) -> tuple[float, float]:
    """Loss over all pairs, and the distance of means."""
    with torch.no_grad():
        image, text = normalize(points, dim=-1)
        gap = (image.mean(0) - text.mean(0)).norm()
        return float(_loss(points, temperature)), float(gap)
