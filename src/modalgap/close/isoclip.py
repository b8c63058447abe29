"""IsoCLIP: drop the directions that the two projection heads stretch most and least.

Equation: Ψ = W_xᵀ W_y = U Σ Vᵀ for projection weights W (d, p); with the top and bottom singular
directions left out, z_x ↦ norm(W_x U_k U_kᵀ z_x), z_y ↦ norm(W_y V_k V_kᵀ z_y), where z are
features before projection.
Source: IsoCLIP (arXiv 2603.19862, section 4). Needs weights alone, no data.
Relations: pca_text finds directions in texts. Fails when: given rows after the projection.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.close.affine import Step
from modalgap.close.base import Closer, CloserCard, Fitted
from modalgap.close.known import Evidence
from modalgap.errors import InputError, NotApplicable, OptionError

CARD = CloserCard(
    name="isoclip",
    title="IsoCLIP",
    idea="Removes from features before projection the extreme directions of both heads together.",
    equation=(
        r"W_x^\top W_y = U \Sigma V^\top,\quad z \mapsto \operatorname{norm}(W_x U_k U_k^\top z)"
    ),
    source="IsoCLIP, arXiv 2603.19862, section 4",
    moves="both",
    needs="weights",
    take_it="Image-image search, with the features before the projection at hand.",
    beware="How many directions to drop differs by model; rows after projection are no input.",
)


def _fit(evidence: Evidence, *, top: int = 150, bottom: int = 50) -> Fitted:
    """``top``, ``bottom``: singular directions dropped at either end (those of ViT-B/32)."""
    checks.whole("top", top, 0)
    checks.whole("bottom", bottom, 0)
    if set(evidence.weights) != {"image", "text"}:
        raise NotApplicable(
            "it needs projection weights: {'image': (d, p), 'text': (d, p)};"
            f" found {', '.join(evidence.weights) or 'none'}"
        )
    on_image, on_text = evidence.weights["image"], evidence.weights["text"]
    if on_image.shape[0] != on_text.shape[0]:
        raise InputError(
            f"weights: both must project to the same width; got {on_image.shape[0]} and"
            f" {on_text.shape[0]} (give them as (d, p), rows of the shared space)"
        )
    U, values, Vt = np.linalg.svd(on_image.T @ on_text, full_matrices=False)
    rank = int((values > 1e-9 * values[0]).sum())
    if top + bottom >= rank:
        raise OptionError(f"top + bottom must be below the rank, {rank}; got {top} + {bottom}")
    kept = slice(top, rank - bottom)
    U, V = U[:, kept], Vt[kept].T
    return Fitted(
        {"image": (Step(on_image @ U @ U.T),), "text": (Step(on_text @ V @ V.T),)},
        {"rank": rank, "kept": U.shape[1]},
        {"image": on_image.shape[1], "text": on_text.shape[1]},
    )


isoclip = Closer(CARD, _fit)
