"""Center: take from every row the mean of its modality, and make it a unit row again.

Equation: e ↦ norm(e − μ_role). Source: I0T (2412.14384), C3 (Zhang et al. 2024), GR-CLIP
(2507.19054), which keeps a mean of its own for queries, stored texts and stored images: every role
that is given gets its own. Documents that hold an image and a text are closed by
``AffineMap.fuse``, or as a role of their own.
Relations: standardize also divides by the spread; shift moves along g alone.
Fails when: a role has few classes of rows: its mean is then content.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step

CARD = Card(
    name="center",
    title="Centring",
    idea="Subtracts the mean of its modality from each row, then normalises.",
    equation=r"e \mapsto \operatorname{norm}(e - \mu_{\text{role}})",
    source="I0T, arXiv 2412.14384; GR-CLIP, arXiv 2507.19054, section 4",
    roles=("image", "text"),
    reads="means",
    traits=("invertible", "any role"),
    use_when="Mixed indexes, quantised indexes and noise. Try this closer first.",
    fails_when="The mean of few rows, or of rows with similar content, contains content.",
)


def _fit(evidence: Evidence) -> Fitted:
    means = {role: known.mean for role, known in evidence.roles.items()}
    return Fitted(
        {role: (Step(offset=-mean),) for role, mean in means.items()},
        {"length_of_mean": {role: float((mean @ mean) ** 0.5) for role, mean in means.items()}},
    )


center = Closer(CARD, _fit)
