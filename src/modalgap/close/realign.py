"""Realign: give texts the mean and the total variance of the images, then centre them again.

Equation: e' = norm(μ_x + s (y − μ_y)), s = √(tr Σ_x / tr Σ_y); e'' = norm(e' − μ' + μ_x), μ' the
mean of e'. Only texts move. Source: ReAlign (arXiv 2602.07026, section 4).
Relations: center makes both modalities overlap at the origin instead.
Fails when: the modalities differ in their means only. Then s ≈ 1 and the map is only a shift.
"""

from __future__ import annotations

import numpy as np
import torch

from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import NotApplicable

CARD = Card(
    name="realign",
    title="ReAlign",
    idea=(
        "Moves texts to the mean of the images, scales them to the spread of the images, and"
        " centres them again."
    ),
    equation=(
        r"y' = \operatorname{norm}(\mu_x + s (y - \mu_y)),\quad"
        r" y'' = \operatorname{norm}(y' - \mu' + \mu_x)"
    ),
    source="ReAlign, arXiv 2602.07026, section 4",
    roles=("text",),
    reads="rows",
    traits=("size",),
    use_when="Texts replace images, as in training on texts only; images stay unchanged.",
    fails_when="Texts keep their own directions of variance, and content along the gap is changed.",
)


def _fit(evidence: Evidence) -> Fitted:
    image, text = evidence.two
    if text.total_variance <= 1e-6:
        raise NotApplicable(f"all rows of the {text.role}s are the same")
    scale = float(np.sqrt(image.total_variance / text.total_variance))
    first = Step(np.full(text.dim, scale), image.mean - scale * text.mean)
    moved = text.sample * scale + torch.from_numpy(first.offset).float()
    again = torch.nn.functional.normalize(moved, dim=1).mean(0, dtype=torch.float64).numpy()
    return Fitted(
        {image.role: (), text.role: (first, Step(offset=image.mean - again))},
        {"scale": scale, "rows_behind_re_centring": len(text.sample)},
    )


realign = Closer(CARD, _fit)
