"""Ridge: predict image embeddings from text embeddings by ridge regression.

Equation: A = argmin Σ ‖(x_i − μ_x) − A (y_i − μ_y)‖² + p·tr(Σ_i (y_i − μ_y)(y_i − μ_y)ᵀ)/d · ‖A‖²;
y ↦ norm(μ_x + A (y − μ_y)); x is unchanged. Source: Hoerl & Kennard 1970.
Relations: procrustes preserves lengths. Fails when: texts contain less information than images.
Predictions then shrink toward the mean image.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import NotApplicable, OptionError

CARD = Card(
    name="ridge",
    title="Least squares",
    idea="Maps texts to the matched images by ridge regression.",
    equation=r"y \mapsto \operatorname{norm}(\mu_x + A (y - \mu_y))",
    source="Hoerl & Kennard 1970",
    roles=("text",),
    needs=("pairs",),
    reads="pairs",
    use_when="There are many pairs, and texts replace images.",
    fails_when="With few pairs it overfits, or predicts little more than the mean image.",
)


def _fit(evidence: Evidence, *, penalty: float = 1.0, seed: int = 0) -> Fitted:
    """Options.

    ``penalty``: p, above 0, in units of the mean variance of a column. ``seed``: for the sample of
    pairs, if there are more than the method uses.
    """
    checks.at_least("penalty", penalty, 0.0)
    if penalty == 0:
        raise OptionError("penalty must be above 0; got 0")
    image, text = evidence.two
    x, y = (side.double().numpy() for side in evidence.matched(seed))
    mean_x, mean_y = x.mean(0), y.mean(0)
    own = (y - mean_y).T @ (y - mean_y)
    weight = penalty * float(np.trace(own)) / text.dim
    if weight <= 1e-12:
        raise NotApplicable(f"all rows of the {text.role}s are the same")
    A = linalg.solve(own + weight * np.eye(text.dim), (y - mean_y).T @ (x - mean_x)).T
    return Fitted(
        {image.role: (), text.role: (Step(A, mean_x - A @ mean_y),)},
        {"pairs": len(x), "penalty_weight": weight},
    )


ridge = Closer(CARD, _fit)
