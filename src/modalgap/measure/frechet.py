"""Fréchet distance between Gaussians of the two modalities, and its two parts.

Equation: ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2(Σ_xΣ_y)^½), the squared distance, as for FID. A shift
removes the first part; ``centroid_share`` is its fraction. The second part,
``distribution_gap``, remains after centring.
Source: Dowson & Landau 1982; Heusel et al. 2017; split as in arXiv 2604.00279.
Relations: frechet = l2m² + distribution_gap.
Fails when: there are not many more rows than dimensions. The second part is then biased upward.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.linalg import singular_values
from modalgap.measure.base import Evidence, Measure
from modalgap.result import Value

_NO_INTERVAL = "none: biased upward with few rows, so an interval would be misleading"

CARD = Card(
    name="frechet",
    group="What is it made of?",
    traits=("size",),
    reads="covariances",
    title="Fréchet distance (squared)",
    question="How different are the two distributions, in mean and in shape?",
    idea="The squared 2-Wasserstein distance between Gaussians fitted to the two modalities.",
    equation=(
        r"\lVert \mu_x - \mu_y \rVert^2 + \operatorname{tr}\!\left(\Sigma_x + \Sigma_y - "
        r"2(\Sigma_x \Sigma_y)^{1/2}\right)"
    ),
    source="Dowson & Landau 1982; Heusel et al. 2017",
    direction="lower",
    low=0.0,
    interval=_NO_INTERVAL,
)
DISTRIBUTION = Card(
    name="distribution_gap",
    group="What is it made of?",
    traits=("size",),
    reads="covariances",
    title="Distribution gap",
    question="What remains of the gap when both modalities are centred?",
    idea="The squared Fréchet distance between the centred Gaussians: the difference in shape.",
    equation=r"\operatorname{tr}\!\left(\Sigma_x + \Sigma_y - 2(\Sigma_x \Sigma_y)^{1/2}\right)",
    source="arXiv 2604.00279; arXiv 2505.03703",
    direction="lower",
    low=0.0,
    interval=_NO_INTERVAL,
)
SHARE = Card(
    name="centroid_share",
    group="What is it made of?",
    traits=("size",),
    reads="covariances",
    title="Fraction of the gap that a shift removes",
    question="Is the gap a difference of means or of shape?",
    idea="The fraction of the squared Fréchet distance that is the distance between the means.",
    equation=r"\lVert \mu_x - \mu_y \rVert^2 \,/\, d_F^2",
    source="arXiv 2604.00279",
    direction="neither",
    low=0.0,
    high=1.0,
    interval=_NO_INTERVAL,
)


def _parts(evidence: Evidence) -> tuple[float, float]:
    """‖g‖² and the distribution gap.

    tr (Σ_xΣ_y)^½ is the sum of the singular values of Σ_x^½ Σ_y^½. With the eigendecompositions of
    both matrices, this product is D_x^½ U_xᵀ U_y D_y^½ up to rotations.
    """
    square = float(evidence.gap @ evidence.gap)
    (dx, ux), (dy, uy) = evidence.image.spectrum, evidence.text.spectrum
    cross = dx.sqrt()[:, None] * (ux.T @ uy) * dy.sqrt()
    shape = dx.sum() + dy.sum() - 2 * singular_values(cross).sum()
    return square, max(0.0, float(shape))


def _frechet(evidence: Evidence) -> Value:
    return Value(sum(evidence.once("frechet", _parts)))


def _distribution_gap(evidence: Evidence) -> Value:
    return Value(evidence.once("frechet", _parts)[1])


def _centroid_share(evidence: Evidence) -> Value:
    square, shape = evidence.once("frechet", _parts)
    return Value(square / (square + shape) if square + shape else float("nan"))


frechet = Measure(CARD, _frechet)
distribution_gap = Measure(DISTRIBUTION, _distribution_gap)
centroid_share = Measure(SHARE, _centroid_share)
