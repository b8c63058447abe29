"""PCA of texts: keep the directions that texts use.

Equation: V_k the top k right-singular directions of the texts, uncentred; e ↦ norm(V_kᵀ e), both
sides, so that they stay comparable. Source: Herzog & Wang 2026 (arXiv 2603.16100), who project
images on the top d/2 directions of class-name texts for image-image search.
Relations: isoclip finds such directions in the weights.
Fails when: images differ in details that no text names.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step

CARD = Card(
    name="pca_text",
    title="Directions of texts",
    idea="Projects both modalities on the leading uncentred singular directions of the texts.",
    equation=r"e \mapsto \operatorname{norm}(V_k^\top e)",
    source="Herzog & Wang 2026, arXiv 2603.16100",
    roles=("image", "text"),
    reads="covariances",
    traits=("free sign",),
    use_when="Image-image search by class, with class names as texts.",
    fails_when="It reduces the number of columns and loses details that no text names.",
)


def _fit(evidence: Evidence, *, k: int | None = None) -> Fitted:
    """``k``: directions kept, by default half of the columns."""
    if k is not None:
        checks.whole("k", k, 1)
    image, text = evidence.two
    n = text.rows_behind_covariance
    second = text.covariance * (n - 1) / n + np.outer(text.mean, text.mean)
    values, vectors = linalg.eigh(second)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > 1e-12 * values[0]).sum())
    kept = min(k or max(1, text.dim // 2), rank)
    step = Step(np.ascontiguousarray(vectors[:, :kept].T))
    return Fitted(
        {image.role: (step,), text.role: (step,)},
        {"directions": kept, "rank_of_texts": rank},
    )


pca_text = Closer(CARD, _fit)
