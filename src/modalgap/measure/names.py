"""The measure of a name in a result, and the headings under which a report shows measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modalgap.card import Card
from modalgap.errors import OptionError
from modalgap.measure.base import Measure
from modalgap.measure.registry import MEASURES
from modalgap.modality import spoken
from modalgap.result import Result

# headings of a report in their order; the group of a card is one of them
GROUPS = (
    "How large is the gap?",
    "What is it made of?",
    "How does each modality fill its space?",
    "Do both modalities agree?",
    "What does it do to search and to predictions?",
    "Is it safe to close?",
    "What does the contrastive loss say?",
)


def measure_of(name: str) -> Measure | None:
    """The measure of a name in a result.

    "cone_text" belongs to the measure "cone", "rmg.image.text" to "rmg".
    """
    name = name.partition(".")[0]
    if name in MEASURES:
        return MEASURES[name]
    fitting = [each for each in MEASURES.values() if each.per_modality]
    return next((each for each in fitting if name.startswith(f"{each.name}_")), None)


def card_of(name: str) -> Card:
    """The card of a name in a result.

    Raises:
        OptionError: no measure has such a name.
    """
    found = measure_of(name)
    if found is None:
        raise OptionError.unknown("measure", name, MEASURES)
    return found.card


def modalities_of(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The modalities that a number of a result is of.

    Args:
        name: such as "cone_text", "rmg.image.text" or "leakage_image.audio".
        names: all modalities of the result.
    """
    first, _, rest = name.partition(".")
    found = measure_of(name)
    if found is not None and found.per_modality:
        return (first.removeprefix(f"{found.name}_"), *filter(None, [rest]))
    return tuple(rest.split(".")) if rest else tuple(names)


def of_modalities(card: Card, names: tuple[str, ...]) -> Card:
    """A card whose texts name these modalities."""
    return replace(
        card,
        title=spoken(card.title, names),
        question=spoken(card.question, names),
        idea=spoken(card.idea, names),
        interval=spoken(card.interval, names),
    )


def titled(name: str, names: Sequence[str]) -> str:
    """The title of a number of a result: "Cone, image" for "cone_image".

    Args:
        name: the number.
        names: all modalities of the result.
    """
    card = card_of(name)
    which = name.removeprefix(card.name).strip("_")
    title = of_modalities(card, tuple(names)).title
    return f"{title}, {which}" if which else title


def modalities(result: Result) -> tuple[str, ...]:
    """Names of the modalities that were measured."""
    return tuple(result.pair.get("were_unit", {}))
