"""Noise: add Gaussian noise and normalise. Transductive; a control experiment.

Equation: y ↦ norm(y + ε), ε ~ N(0, σ² I). Source: CapDec (2211.00575, section 3.2), σ² = 0.016;
C3 (Zhang et al. 2024); both use it in training. Noise hides the gap, but also removes content.
"""

from __future__ import annotations

import numpy as np
import torch

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer
from modalgap.close.moved import moved
from modalgap.embeddings import Pair

CARD = Card(
    name="noise",
    title="Noise",
    idea="Adds Gaussian noise to texts (or images, or both), then normalises.",
    equation=r"y \mapsto \operatorname{norm}(y + \epsilon),\quad \epsilon \sim N(0, \sigma^2 I)",
    source="CapDec, arXiv 2211.00575, section 3.2",
    roles=("text",),
    reads="rows",
    traits=("random",),
    use_when="Control experiment: a smaller gap is not an improvement by itself.",
    fails_when="It removes content as fast as the gap.",
)


def _transform(
    pair: Pair, *, variance: float = 0.016, side: str | None = None, seed: int = 0
) -> Pair:
    """Options.

    ``variance``: σ² of each column. ``side``: "image", "both" or, by default, the texts. ``seed``:
    for the noise.
    """
    checks.at_least("variance", variance, 0.0)
    checks.whole("seed", seed, 0)
    image, text = pair.image.modality, pair.text.modality
    side = text if side is None else side
    checks.one_of("side", side, (text, image, "both"))
    random = np.random.default_rng(seed)

    def noisy(rows: torch.Tensor) -> torch.Tensor:
        drawn = torch.from_numpy(random.standard_normal(rows.shape, np.float32))
        sigma = float(variance) ** 0.5
        mixed = rows + sigma * drawn if sigma <= 1 else rows / sigma + drawn
        return torch.nn.functional.normalize(mixed, dim=1)

    return moved(
        pair,
        noisy(pair.image.unit()) if side in (image, "both") else pair.image.unit(),
        noisy(pair.text.unit()) if side in (text, "both") else pair.text.unit(),
        "noise",
    )


noise = Closer(CARD, transform=_transform)
