"""Procrustes: rotate texts onto the images that they match.

Equation: R = argmin over orthogonal R of Σ ‖(x_i − μ_x) − R (y_i − μ_y)‖² = UVᵀ, from the SVD
UΣVᵀ of Σ_i (x_i − μ_x)(y_i − μ_y)ᵀ; y ↦ norm(μ_x + R (y − μ_y)); x is unchanged. Source: Schönemann
1966; for CLIP arXiv 2602.17584. Relations: ridge may also scale and remove directions.
Fails when: there are fewer pairs than columns. The rotation is then arbitrary in directions that
the pairs do not cover.
"""

from __future__ import annotations

from modalgap import linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import NotApplicable

CARD = Card(
    name="procrustes",
    title="Procrustes",
    idea="Rotates texts onto the matched images by the best orthogonal map about the means.",
    equation=r"y \mapsto \operatorname{norm}(\mu_x + R (y - \mu_y)),\quad R = U V^\top",
    source="Schönemann 1966",
    roles=("text",),
    needs=("pairs",),
    reads="pairs",
    traits=("invertible",),
    use_when="There are many pairs, and the modalities differ by a rotation.",
    fails_when="With fewer pairs than columns it overfits.",
)


def _fit(evidence: Evidence, *, seed: int = 0) -> Fitted:
    """``seed``: for the sample of pairs, if there are more than the method uses."""
    image, text = evidence.two
    x, y = (side.double().numpy() for side in evidence.matched(seed))
    mean_x, mean_y = x.mean(0), y.mean(0)
    U, values, Vt = linalg.svd((x - mean_x).T @ (y - mean_y))
    if values[0] < 1e-12:
        raise NotApplicable("matched rows are uncorrelated: their cross-covariance is zero")
    R = U @ Vt
    return Fitted(
        {image.role: (), text.role: (Step(R, mean_x - R @ mean_y),)},
        {"pairs": len(x), "rank": int((values > 1e-10 * values[0]).sum())},
    )


procrustes = Closer(CARD, _fit)
