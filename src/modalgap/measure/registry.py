"""MEASURES: every measure, in the order in which tables show them."""

from __future__ import annotations

from dataclasses import replace

from modalgap.card import Card
from modalgap.errors import OptionError
from modalgap.measure.alignment import alignment
from modalgap.measure.base import Measure
from modalgap.measure.class_bias_spread import class_bias_spread
from modalgap.measure.cone import cone
from modalgap.measure.effective_rank import effective_rank
from modalgap.measure.frechet import centroid_share, distribution_gap, frechet
from modalgap.measure.hubness import hubness
from modalgap.measure.infonce import infonce, loss_landscape
from modalgap.measure.kendall_tau import kendall_tau
from modalgap.measure.l2i import l2i
from modalgap.measure.l2m import l2m
from modalgap.measure.leakage import leakage
from modalgap.measure.logit_entropy import logit_entropy
from modalgap.measure.matched_cosine import matched_cosine
from modalgap.measure.mixing import imr, itr, tir, tmr
from modalgap.measure.moad import moad
from modalgap.measure.nas import nas
from modalgap.measure.per_dimension_gap import gap_concentration, per_dimension_gap
from modalgap.measure.prediction import prediction_entropy, prediction_gini
from modalgap.measure.principal_angles import principal_angles
from modalgap.measure.rmg import rmg
from modalgap.measure.separability import separability
from modalgap.measure.trace_ratio import trace_ratio
from modalgap.measure.uniformity import uniformity
from modalgap.modality import spoken
from modalgap.result import Result

# headings of a report in their order; a card says which one a measure stands under
GROUPS = (
    "How large is the gap?",
    "What is it made of?",
    "How does each modality fill its space?",
    "Do both modalities agree?",
    "What does it do to search and to predictions?",
    "Is it safe to close?",
    "What does the contrastive loss say?",
)

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        l2m,
        l2i,
        rmg,
        matched_cosine,
        cone,
        alignment,
        uniformity,
        per_dimension_gap,
        gap_concentration,
        frechet,
        distribution_gap,
        centroid_share,
        trace_ratio,
        separability,
        effective_rank,
        principal_angles,
        leakage,
        class_bias_spread,
        kendall_tau,
        itr,  # before nas and hubness: its sweep finds their neighbours on the way
        tir,
        tmr,
        imr,
        nas,
        hubness,
        logit_entropy,
        prediction_gini,
        prediction_entropy,
        moad,
        infonce,
        loss_landscape,
    )
}


def measure_of(name: str) -> Measure | None:
    """The measure behind a name as it stands in a result: "cone_text" is of the measure "cone"."""
    if name in MEASURES:
        return MEASURES[name]
    fitting = [each for each in MEASURES.values() if each.per_modality]
    return next((each for each in fitting if name.startswith(f"{each.name}_")), None)


def card_of(name: str) -> Card:
    """The card behind a name as it stands in a result.

    Raises:
        OptionError: no measure has such a name.
    """
    found = measure_of(name)
    if found is None:
        raise OptionError.unknown("measure", name, MEASURES)
    return found.card


def of_modalities(card: Card, names: tuple[str, ...]) -> Card:
    """A card that speaks of these modalities."""
    return replace(
        card,
        title=spoken(card.title, names),
        question=spoken(card.question, names),
        idea=spoken(card.idea, names),
        interval=spoken(card.interval, names),
    )


def modalities(result: Result) -> tuple[str, ...]:
    """Names of the modalities that were measured."""
    return tuple(result.pair.get("were_unit", {}))
