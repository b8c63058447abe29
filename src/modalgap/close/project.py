"""Project: move the retrieved side along the part of the gap that carries none of its content.

Equation: g' = g − VVᵀg, V the principal directions of the retrieved modality; retrieved texts
y ↦ norm(y + α g'), retrieved images x ↦ norm(x − α g'). Source: Chowers et al. 2026, section 4,
equation 11. Side and sign: only the retrieved side moves, toward the other mean; queries stay.
If g' is orthogonal to the affine span of the retrieved unit rows, they all keep one length after
the move and no ranking changes, by Euclidean distance, inner product or cosine. V must be truncated
(with as many rows as columns it spans everything and g' = 0), so the guarantee holds up to the
leakage, which is reported with the number of rankings of a sample that changed.
Relations: shift moves along all of g. Fails when: leakage is high: little is left to close.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence, Statistics
from modalgap.close.step import Step
from modalgap.embeddings import Embeddings
from modalgap.errors import NotApplicable
from modalgap.linalg import psd_eigh, top_directions

QUERIES, ITEMS, TOP = 1000, 5000, 10  # of the sample whose rankings are compared

CARD = Card(
    name="project",
    title="Projected shift",
    idea=(
        "Moves the retrieved modality toward the other mean along the part of the gap that is"
        " orthogonal to its principal directions, then normalises."
    ),
    equation=r"g' = g - V V^\top g,\quad y \mapsto \operatorname{norm}(y + \alpha g')",
    source="Chowers et al. 2026, section 4, equation 11",
    roles=("retrieved",),
    reads="covariances",
    traits=("invertible",),
    use_when="Robustness to noise with nearly unchanged rankings, if leakage is low.",
    fails_when=(
        "It closes only the part of the gap that does not leak; the rest still separates mixed"
        " indexes."
    ),
)


def _fit(
    evidence: Evidence,
    *,
    alpha: float = 1.0,
    retrieved: str | None = None,
    explained_variance: float = 0.9,
) -> Fitted:
    """Options.

    ``alpha``: 1 moves by all of g'. ``retrieved``: the side that is stored, images by default.
    ``explained_variance``: fraction of the variance of the retrieved modality that V explains.
    """
    image, text = evidence.two
    retrieved = image.role if retrieved is None else retrieved
    checks.one_of("retrieved", retrieved, (image.role, text.role))
    checks.share("explained_variance", explained_variance)
    checks.finite("alpha", alpha)
    stored, asking = (image, text) if retrieved == image.role else (text, image)
    gap = evidence.gap
    size = float(np.linalg.norm(gap))
    if size < 1e-12:
        raise NotApplicable("there is no gap: the means coincide")
    values, vectors = psd_eigh(torch.from_numpy(stored.covariance))
    k = top_directions(values, explained_variance)
    V = vectors[:, :k].numpy()
    inside = V @ (V.T @ gap)
    rest = gap - inside
    left = float(np.linalg.norm(rest))
    if left < 1e-6 * size:
        raise NotApplicable(
            f"the {k} directions that explain {explained_variance:g} of the variance of the"
            f" {retrieved}s contain the whole gap, so nothing can be moved; use a smaller"
            " explained_variance"
        )
    toward = rest if stored is text else -rest
    step = Step(offset=alpha * toward)
    facts: dict[str, Any] = {
        "leakage": float(np.linalg.norm(inside)) / size,
        "directions": k,
        "chance_leakage": (k / evidence.dim) ** 0.5,
        "l2m": size,
        "moved": {retrieved: f"{alpha * left:.4f} toward the mean of the {asking.role}s"},
    }
    if all(isinstance(known.data, Embeddings) for known in (stored, asking)):
        facts |= _changed(asking, stored, torch.from_numpy(alpha * toward).float())
    return Fitted({stored.role: (step,), asking.role: ()}, facts)


def _changed(asking: Statistics, stored: Statistics, by: Tensor) -> dict[str, Any]:
    """How many rankings of a sample change."""
    queries, items = _spread(asking.sample, QUERIES), _spread(stored.sample, ITEMS)
    k = min(TOP, len(items))
    moved = torch.nn.functional.normalize(items + by, dim=1)
    before = (queries @ items.T).topk(k, dim=1).indices
    after = (queries @ moved.T).topk(k, dim=1).indices
    return {
        "rankings_compared": len(queries),
        "top_1_changed": float((before[:, 0] != after[:, 0]).double().mean()),
        f"top_{k}_changed": float((before != after).any(1).double().mean()),
    }


def _spread(rows: Tensor, most: int) -> Tensor:
    """At most ``most`` rows, evenly spaced over all rows, because files may be sorted."""
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most).long()]


project = Closer(CARD, _fit)
