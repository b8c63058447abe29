"""CCA: project on the directions in which matched images and texts correlate most.

Equation: with C = Σ_x^(−½) Σ_xy Σ_y^(−½) = UDVᵀ, x ↦ norm(D_k^p U_kᵀ Σ_x^(−½) (x − μ_x)),
y ↦ norm(D_k^p V_kᵀ Σ_y^(−½) (y − μ_y)), Σ shrunk as for whiten. Source: Hotelling 1936; weights
D^p, the correlations to the power p: Gong et al. 2014, section 3.
Relations: whiten omits the rotation; procrustes omits the whitening.
Fails when: there are fewer pairs than columns. Sample correlations are then near 1 by chance.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.shrink import check_shrinkage, shrunk
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.close.whiten import inverse_root
from modalgap.errors import NotApplicable

CARD = Card(
    name="cca",
    title="Canonical correlations",
    idea="Projects both modalities on the directions in which matched pairs correlate most.",
    equation=r"x \mapsto \operatorname{norm}(D_k^p U_k^\top \Sigma_x^{-1/2} (x - \mu_x))",
    source="Hotelling 1936; Gong et al. 2014, section 3",
    roles=("image", "text"),
    needs=("pairs",),
    reads="pairs",
    traits=("free sign", "size"),
    use_when="There are many pairs, and fewer columns are an advantage.",
    fails_when="With few pairs, correlations are high by chance; it reduces the number of columns.",
)


def _fit(
    evidence: Evidence,
    *,
    dims: int | None = None,
    power: float = 1.0,
    shrinkage: float | None = None,
    seed: int = 0,
) -> Fitted:
    """Options.

    ``dims``: number of directions, by default half of the columns. ``power``: p; 0 gives plain
    canonical variables. ``shrinkage``: ρ in 0 … 1, by default estimated from the rows. ``seed``:
    for the sample of pairs.
    """
    check_shrinkage(shrinkage)
    checks.at_least("power", power, 0.0)
    image, text = evidence.two
    if dims is not None:
        checks.whole("dims", dims, 1)
    x, y = (side.double().numpy() for side in evidence.matched(seed))
    n = len(x)
    checks.needs(n >= 3, f"it needs at least 3 matched pairs; there are {n}")
    k = min(dims or max(1, image.dim // 2), image.dim, n - 1)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    roots = {}
    for known, rows in ((image, x), (text, y)):
        covariance, _ = shrunk(rows.T @ rows / (n - 1), n, shrinkage, known.role)
        roots[known.role] = inverse_root(covariance)
    cross = roots[image.role] @ (x.T @ y / (n - 1)) @ roots[text.role]
    U, values, Vt = linalg.svd(cross)
    if values[0] < 1e-12:
        raise NotApplicable("matched rows are uncorrelated: their cross-covariance is zero")
    weight = ((values[:k] / values[0]) ** float(power))[:, None]  # a common factor does not matter
    on_image = weight * (U[:, :k].T @ roots[image.role])
    on_text = weight * (Vt[:k] @ roots[text.role])
    u, v = x @ on_image[:10].T, y @ on_text[:10].T
    lengths = np.linalg.norm(u, axis=0) * np.linalg.norm(v, axis=0)
    found = np.divide((u * v).sum(0), lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return Fitted(
        {
            image.role: (Step(on_image, -on_image @ x_mean),),
            text.role: (Step(on_text, -on_text @ y_mean),),
        },
        {"pairs": n, "dims": k, "correlations": found.tolist()},
    )


cca = Closer(CARD, _fit)
