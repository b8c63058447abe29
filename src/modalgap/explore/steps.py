"""Steps: the closers that the page offers, and the strengths of each that a static page holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from modalgap import checks
from modalgap.close.registry import CLOSERS
from modalgap.close.verb import close, fit
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import OptionError
from modalgap.explore.scene import Scene

NONE = "none"
STANDARDISED = "zscore"  # moves no vectors: only the scores of a mixed list change


@dataclass(frozen=True)
class Choice:
    """A closer that the page offers.

    Attributes:
        closer: its name in ``modalgap.close.CLOSERS``, or "zscore" for standardised scores.
        title: for people.
        about: what it does, in one sentence.
        strength: the option that the slider sets; "" for a closer without a slider.
        strengths: its values in a static page; the first changes nothing.
        many: whether it closes three or more modalities.
    """

    closer: str
    title: str
    about: str
    strength: str = ""
    strengths: tuple[float, ...] = ()
    many: bool = False

    def steps(self) -> Iterator[Step]:
        """The steps of a static page; strength 0 is the step of the unchanged rows."""
        if self.strength:
            yield from (Step(self.closer, each) for each in self.strengths if each)
        else:
            yield Step(self.closer)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest strength."""
        return (min(self.strengths, default=0.0), max(self.strengths, default=0.0))


@dataclass(frozen=True)
class Step:
    """One closer at one strength.

    Attributes:
        closer: the name of a ``Choice``.
        strength: the value of its option; None for a closer without a slider.
    """

    closer: str
    strength: float | None = None

    @property
    def moves(self) -> bool:
        """Whether the vectors change."""
        return self.closer not in (NONE, STANDARDISED)

    @property
    def options(self) -> dict[str, Any]:
        """Options of the closer."""
        return {} if self.strength is None else {CHOICES[self.closer].strength: self.strength}

    @property
    def call(self) -> str:
        """The Python call that closes a pair in this way."""
        if not self.moves:
            return "pair"
        options = "".join(f", {name}={value:g}" for name, value in self.options.items())
        return f'modalgap.close(pair, "{self.closer}"{options})'


def _choice(
    closer: str, title: str, about: str, strength: str = "", strengths: tuple[float, ...] = ()
) -> Choice:
    many = "any role" in CLOSERS[closer].card.traits
    return Choice(closer, title, about, strength, strengths, many)


CHOICES = {
    each.closer: each
    for each in (
        Choice(NONE, "no closer", "The embeddings as they are.", many=True),
        _choice(
            "shift",
            "shift along the gap",
            "Moves both modalities toward each other along the gap vector. 1 is the whole gap.",
            "alpha",
            (0, 0.25, 0.5, 0.75, 1, 1.25),
        ),
        _choice(
            "project",
            "shift without content",
            "Moves one modality along the part of the gap that is orthogonal to content.",
            "alpha",
            (0, 0.5, 1),
        ),
        _choice("center", "center", "Subtracts from each modality its mean."),
        _choice(
            "standardize",
            "standardize",
            "Gives each dimension mean 0 and variance 1 in each modality.",
        ),
        _choice(
            "erase_gap",
            "erase the gap direction",
            "Removes the direction of the gap from all embeddings.",
        ),
        Choice(
            STANDARDISED,
            "standardise scores only",
            "Moves no embedding. In mixed lists, the scores of each modality are standardised.",
            many=True,
        ),
    )
}


def choices(scene: Scene) -> list[Choice]:
    """What the page offers for these data."""
    count = len(scene.sides)
    if count == 1:
        return [CHOICES[NONE]]
    return [each for each in CHOICES.values() if count == 2 or each.many]


def steps(scene: Scene) -> list[Step]:
    """All steps of a static page, the unchanged rows first."""
    return [step for choice in choices(scene) for step in choice.steps()]


def offered(scene: Scene, made: Collection[Step]) -> list[Choice]:
    """The closers of a page that holds these steps, each with its strengths there."""
    found = []
    for choice in choices(scene):
        if any(step in made for step in choice.steps()):
            there = {step.strength for step in choice.steps() if step in made} | {0}
            kept = tuple(each for each in choice.strengths if each in there)
            found.append(replace(choice, strengths=kept))
    return found


def closed(scene: Scene, step: Step) -> Pair | Embeddings | Modalities:
    """The shown rows after a step: the closer is fitted to them.

    Raises:
        OptionError: an unknown closer, or a strength that is not within its limits.
        NotApplicable: the closer does not apply to these rows.
    """
    check(scene, step)
    if not step.moves or isinstance(scene.shown, Embeddings):
        return scene.shown
    return close(scene.shown, step.closer, **step.options)


def mover(scene: Scene, step: Step) -> Any:
    """The map of a step, fitted to the shown rows, that closes other rows; None: no change."""
    return fit(scene.shown, step.closer, **step.options) if step.moves else None


def check(scene: Scene, step: Step) -> None:
    """Refuse a step that the page does not offer.

    Raises:
        OptionError: an unknown closer, or a strength that is not within its limits.
    """
    known = {each.closer: each for each in choices(scene)}
    if step.closer not in known:
        raise OptionError.unknown("closer", step.closer, known)
    choice = known[step.closer]
    if not choice.strength:
        if step.strength is not None:
            raise OptionError(f"strength: {step.closer} has none")
    else:
        low, high = choice.limits
        checks.at_least("strength", 0.0 if step.strength is None else step.strength, low, high)
