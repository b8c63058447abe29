"""Center: subtract from every row the mean of its modality, then normalise.

Equation: e ↦ norm(e − μ_role). Source: I0T (2412.14384), C3 (Zhang et al. 2024), GR-CLIP
(2507.19054), which uses separate means for queries, stored texts and stored images. Here each role
has its own mean. Close documents with an image and a text by ``AffineMap.fuse``, or as a separate
role.
Relations: standardize also divides by the standard deviation; shift moves along g only.
Fails when: the rows of a role have only few classes. Their mean then contains content.
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
