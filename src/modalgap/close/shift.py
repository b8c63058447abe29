"""Shift: move the modalities toward each other along the gap, then normalise.

Equation: x ↦ norm(x − ½λ ĝ), y ↦ norm(y + ½λ ĝ), ĝ = g/‖g‖, λ = α‖g‖; or one modality alone
by λ. For α > 0 images move against g and texts along g; α < 0 widens the gap.
Source: Liang et al. 2022, section 4 (embedding shift experiment).
Relations: project moves along the part of g that carries no content; center subtracts both means
completely. Fails when: texts (or images) vary along g. The shift then adds a different bias
−⟨g, y_c⟩ to each class, and predictions concentrate on few classes (2609.01103).
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import NotApplicable

CARD = Card(
    name="shift",
    title="Shift along the gap",
    idea="Moves images against the gap vector and texts along it, then normalises.",
    equation=(
        r"x \mapsto \operatorname{norm}(x - \tfrac{\alpha}{2} g),\quad"
        r" y \mapsto \operatorname{norm}(y + \tfrac{\alpha}{2} g)"
    ),
    source="Liang et al. 2022, section 4",
    roles=("image", "text"),
    reads="means",
    traits=("invertible",),
    use_when="Repeating the experiment of the paper, or plotting accuracy against the gap.",
    fails_when="A closed gap often costs much accuracy, because of class bias.",
)


def _fit(
    evidence: Evidence, *, alpha: float = 1.0, side: str = "both", length: float | None = None
) -> Fitted:
    """Options.

    ``alpha``: fraction of the gap to close; 1 closes all of it. ``side``: "both" (half each),
    "image" or "text". ``length``: λ itself instead of α‖g‖, as in the paper.
    """
    image, text = evidence.two
    checks.one_of("side", side, ("both", image.role, text.role))
    checks.finite("alpha", alpha)
    if length is not None:
        checks.finite("length", length)
    gap = evidence.gap
    size = float(np.linalg.norm(gap))
    if size < 1e-12:
        raise NotApplicable("there is no gap: the means coincide")
    moved = (alpha * size if length is None else length) / size
    on_image = {"both": 0.5, image.role: 1.0, text.role: 0.0}[side] * moved
    on_text = {"both": 0.5, image.role: 0.0, text.role: 1.0}[side] * moved
    along = f"along the unit gap ({text.role} to {image.role})"
    return Fitted(
        {
            image.role: (Step(offset=-on_image * gap),) if on_image else (),
            text.role: (Step(offset=on_text * gap),) if on_text else (),
        },
        {
            "l2m": size,
            "moved": {
                image.role: f"{0.0 - on_image * size:+.4f} {along}",
                text.role: f"{on_text * size:+.4f} {along}",
            },
        },
    )


shift = Closer(CARD, _fit)
