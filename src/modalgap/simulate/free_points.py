"""Free points on the sphere: the modality gap with neither a network nor data.

Matched points start in two tight cones, as an untrained model leaves them, and a symmetric InfoNCE
loss moves the points themselves. The loss soon matches the pairs and then has no reason left to
close the gap: Liang et al. 2022, sections 2 and 4 (cones at the start, the loss keeps them).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import OptionError, quoted
from modalgap.progress import progress

CONE = 0.5  # mean cosine inside each cone at the start, about CLIP's


@checked
def free_points(
    n: int = 500,
    dim: int = 64,
    *,
    temperature: float = 0.01,
    steps: int = 400,
    learning_rate: float = 0.003,
    batch: int = 250,
    seed: int = 0,
) -> Pair:
    """Optimise InfoNCE over free points from two tight cones; return what is left.

    Args:
        n: matched pairs.
        dim: dimension of the sphere's space.
        temperature: of the loss, fixed.
        steps: of Adam, each on one random batch.
        learning_rate: of Adam.
        batch: pairs in a batch.
        seed: of the start and of the batches.

    Returns:
        A pair of n images and n texts of float32 unit rows; its provenance says how it was made and
        what the loss and the gap were before and after.

    Raises:
        OptionError: an option outside its range.
    """
    for name, value, least in (
        ("n", n, 2),
        ("dim", dim, 2),
        ("steps", steps, 0),
        ("batch", batch, 2),
    ):
        if not isinstance(value, int) or value < least:
            raise OptionError(f"{name} must be an integer of at least {least}; got {quoted(value)}")
    for name, number in (("temperature", temperature), ("learning_rate", learning_rate)):
        if not isinstance(number, int | float) or not 1e-6 <= number <= 1e6:
            raise OptionError(f"{name} must be a number from 1e-6 to 1e6; got {quoted(number)}")
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise OptionError(f"seed must be an integer from 0 to 2**63 - 1; got {quoted(seed)}")
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


def _cone(n: int, dim: int, random: torch.Generator) -> Tensor:
    """(n, dim) unit rows whose mean cosine is about ``CONE``, around an axis of its own."""
    axis = normalize(torch.randn(dim, generator=random), dim=0)
    rows = torch.randn(n, dim, generator=random) / dim**0.5
    return normalize(rows + axis * (CONE / (1 - CONE)) ** 0.5, dim=1)


def _loss(points: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE of points (2, b, d)."""
    image, text = normalize(points, dim=-1)
    logits = image @ text.T / temperature
    own = torch.arange(len(logits))
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def _state(points: Tensor, temperature: float) -> tuple[float, float]:
    """Loss over all pairs, and the distance between means."""
    with torch.no_grad():
        image, text = normalize(points, dim=-1)
        gap = (image.mean(0) - text.mean(0)).norm()
        return float(_loss(points, temperature)), float(gap)
