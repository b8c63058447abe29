"""IsoCLIP: remove the directions that the two projection heads amplify most and least.

Equation: Ψ = W_xᵀ W_y = U Σ Vᵀ for projection weights W (d, p); without the top and bottom singular
directions, features z before projection become W_x U_k U_kᵀ z_x and W_y V_k V_kᵀ z_y.
U is in the row space of W_x, so U_kᵀ z = U_kᵀ W_x⁺ (W_x z). Therefore the map can be applied
*after* projection, e ↦ norm(W_x U_k U_kᵀ W_x⁺ e), without encoding the data again.
Source: IsoCLIP (arXiv 2603.19862, section 4). It needs weights only, no data.
Relations: pca_text estimates directions from texts instead.
Fails when: the last layer is not a plain linear projection (attention pooling, a bias).
"""

from __future__ import annotations

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import InputError, NotApplicable, OptionError

CARD = Card(
    name="isoclip",
    title="IsoCLIP",
    idea="Removes the directions that both projection heads together amplify most and least.",
    equation=(
        r"W_x^\top W_y = U \Sigma V^\top,\quad"
        r" x \mapsto \operatorname{norm}(W_x U_k U_k^\top W_x^+ x)"
    ),
    source="IsoCLIP, arXiv 2603.19862, section 4",
    roles=("image", "text"),
    needs=("weights",),
    reads="nothing",
    use_when="Image-image search, if the weights of the model are available.",
    fails_when=(
        "The best number of directions differs between models; cross-modal search becomes worse."
    ),
)


def _fit(evidence: Evidence, *, top: int = 150, bottom: int = 50) -> Fitted:
    """``top``, ``bottom``: number of directions removed at each end (defaults: ViT-B/32)."""
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
    U, values, Vt = linalg.svd(on_image.T @ on_text, full=False)
    rank = int((values > 1e-9 * values[0]).sum())
    if top + bottom >= rank:
        raise OptionError(f"top + bottom must be below the rank, {rank}; got {top} + {bottom}")
    kept = slice(top, rank - bottom)
    U, V = U[:, kept], Vt[kept].T
    maps = {
        role: weights @ kept @ kept.T @ linalg.pseudo_inverse(weights)
        for role, weights, kept in (("image", on_image, U), ("text", on_text, V))
    }
    return Fitted(
        {role: (Step(matrix),) for role, matrix in maps.items()},
        {"rank": rank, "kept": U.shape[1]},
        {"image": len(on_image), "text": len(on_text)},
    )


isoclip = Closer(CARD, _fit)
