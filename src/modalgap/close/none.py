"""None: leave both modalities unchanged; the baseline for all other closers."""

from __future__ import annotations

from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence

CARD = Card(
    name="none",
    title="No change",
    idea="Leaves the unit rows as they are.",
    equation=r"e \mapsto e",
    source="baseline",
    reads="nothing",
    traits=("invertible", "any role"),
    use_when=(
        "Exact search of one modality and zero-shot classification, where closing rarely helps."
    ),
    fails_when="Mixed indexes prefer one modality, and quantised indexes lose recall.",
)


def _fit(evidence: Evidence) -> Fitted:
    return Fitted(dict.fromkeys(evidence.roles, ()))


none = Closer(CARD, _fit)
