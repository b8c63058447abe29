"""MMD: can a kernel tell the distributions of the modalities apart?

Equation: E k(x, x') + E k(y, y') − 2 E k(x, y), the squared maximum mean discrepancy, with
k(u, v) = exp(−‖u − v‖²/(2σ²)); means over all pairs, a row and itself included.
Source: Gretton et al. 2012, equation 5; σ as in arXiv 2601.19597 (the median of the distances
between an image and a text).
Relations: a small σ compares fine structure, a large σ compares little more than the means.
energy_distance needs no σ. ``details["shuffled"]`` is the mean of 20 random divisions of the pooled
rows: what the number is without a gap.
Fails when: values of different σ are compared.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import jackknife
from modalgap.measure.two_samples import contrast, rows_of
from modalgap.result import Value

MEDIAN_OF = 1000  # rows of each modality

CARD = Card(
    name="mmd",
    group="How large is the gap?",
    traits=("sampled",),
    title="Maximum mean discrepancy (squared)",
    question="Can a Gaussian kernel distinguish the modalities?",
    idea=(
        "The squared distance between the mean embeddings of the modalities in the space of a"
        " Gaussian kernel; 0 means that both distributions are equal."
    ),
    equation=(
        r"\mathbb{E}\,k(x, x') + \mathbb{E}\,k(y, y') - 2\,\mathbb{E}\,k(x, y),\quad"
        r" k(u, v) = e^{-\lVert u - v \rVert^2 / 2\sigma^2}"
    ),
    source="Gretton et al. 2012, equation 5",
    direction="lower",
    low=0.0,
    high=2.0,
    interval="jackknife over groups of images, for this σ",
)


def _mmd(
    evidence: Evidence, *, sigma: float | None = None, max_rows: int = 5000, seed: int = 0
) -> Value:
    """Options.

    ``sigma``: σ, by default the median distance between an image and a text, of at most 1,000
    images and texts. At most ``max_rows`` rows of each modality, drawn with ``seed``.
    """
    checks.whole("max_rows", max_rows, 2)
    if sigma is not None:
        checks.at_least("sigma", sigma, 1e-3)
    evidence.resolved()
    used = _median(evidence, min(max_rows, MEDIAN_OF), seed) if sigma is None else float(sigma)
    checks.needs(used >= 1e-3, "the median distance between an image and a text is 0: set sigma")
    scale = used**-2

    def kernel(cosines: Tensor) -> Tensor:
        return cosines.sub_(1).mul_(scale).exp_()

    found = contrast(evidence, kernel, 1.0, max_rows=max_rows, seed=seed)
    return Value(
        max(0.0, float(found.values[0])),
        jackknife(found.values, CARD.low, CARD.high),
        {"sigma": used},
        {"shuffled": float(found.shuffled.mean())},
    )


def _median(evidence: Evidence, rows: int, seed: int) -> float:
    """The median distance between an image and a text."""
    x, y = rows_of(evidence, rows, seed)
    middle = np.median((x @ y.T).numpy())
    return float(max(0.0, 2 - 2 * float(middle)) ** 0.5)


mmd = Measure(CARD, _mmd)
