"""None: leave both modalities as they are; what every other closer is judged against."""

from __future__ import annotations

from modalgap.close.base import Closer, CloserCard, Fitted
from modalgap.close.known import Evidence

CARD = CloserCard(
    name="none",
    title="Nothing",
    idea="Leaves the unit rows as they are.",
    equation=r"e \mapsto e",
    source="the base line",
    moves="none",
    needs="nothing",
    take_it="Exact search over one modality, zero-shot classification: often the best there is.",
    beware="Mixed indexes favour one side, quantised ones lose recall.",
)


def _fit(evidence: Evidence) -> Fitted:
    return Fitted(dict.fromkeys(evidence.roles, ()))


none = Closer(CARD, _fit)
