"""Whiten: scale each modality so that every direction has the same variance (ZCA).

Equation: e ↦ norm(W (e − μ)), W = ((1−ρ) Σ + ρ (tr Σ / d) I)^(−½). By default ρ is the
shrinkage of Chen et al. 2010 (OAS), so that fewer rows than columns are enough.
Source: Kessy et al. 2018 (ZCA); for CLIP e5-omni (2601.03666).
Relations: standardize scales columns instead. Fails when: directions of low variance are noise.
"""

from __future__ import annotations

import numpy as np

from modalgap import linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.shrink import check_shrinkage, shrunk
from modalgap.close.statistics import Evidence
from modalgap.close.step import Floats, Step

CARD = Card(
    name="whiten",
    title="Whitening",
    idea="Centres each modality and scales all directions to equal variance, then normalises.",
    equation=r"e \mapsto \operatorname{norm}(\Sigma_\rho^{-1/2} (e - \mu))",
    source="Kessy et al. 2018; shrinkage: Chen et al. 2010",
    roles=("image", "text"),
    reads="covariances",
    traits=("invertible", "any role", "size"),
    use_when="There are many rows to fit on, and content is in many directions of low variance.",
    fails_when="With few rows it is strongly regularised and close to centring.",
)


def _fit(evidence: Evidence, *, shrinkage: float | None = None) -> Fitted:
    """``shrinkage``: ρ in 0 … 1; by default chosen per modality from its rows."""
    check_shrinkage(shrinkage)
    roles, used = {}, {}
    for role, known in evidence.roles.items():
        covariance, used[role] = shrunk(
            known.covariance, known.rows_behind_covariance, shrinkage, role
        )
        matrix = inverse_root(covariance)
        roles[role] = (Step(matrix, -matrix @ known.mean),)
    return Fitted(roles, {"shrinkage": used})


def inverse_root(matrix: Floats) -> Floats:
    """The symmetric M^(−½) of a positive definite matrix."""
    values, vectors = linalg.eigh(matrix)
    result: Floats = (vectors / np.sqrt(values)) @ vectors.T
    return result


whiten = Closer(CARD, _fit)
