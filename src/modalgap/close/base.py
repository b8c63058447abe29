"""What a closer is: a card, and a rule that fits a map or moves a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modalgap.card import options_of
from modalgap.close.affine import Steps
from modalgap.close.known import Evidence
from modalgap.embeddings import Pair


@dataclass(frozen=True, kw_only=True)
class CloserCard:
    """The description of one closer.

    Attributes:
        name: the name used in Python, on the command line and in files.
        title: a short name for people.
        idea: one sentence on what it does.
        equation: the rule, in LaTeX; x images, y texts, g = μ_x − μ_y.
        source: paper and section.
        moves: which rows: "both", "text", "the retrieved side", "none".
        needs: "means", "rows", "pairs" or "weights".
        take_it: when it is the one to take.
        beware: when it fails.
        transductive: whether it is no map, so that new rows cannot be closed later.
    """

    name: str
    title: str
    idea: str
    equation: str
    source: str
    moves: str
    needs: str
    take_it: str
    beware: str
    transductive: bool = False


@dataclass(frozen=True)
class Fitted:
    """What a rule found: role to steps, and facts about them."""

    roles: Mapping[str, Steps]
    facts: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Closer:
    """A card and a rule.

    Attributes:
        card: what the closer says of itself.
        fit: (Evidence, **options) to ``Fitted``; None for a transductive closer.
        transform: (Pair, **options) to a closed ``Pair``, for those.
        squares: whether the pass must find the variance of each column.
        sample: whether the pass must keep rows, for covariances.
    """

    card: CloserCard
    fit: Callable[..., Fitted] | None = None
    transform: Callable[..., Pair] | None = None
    squares: bool = False
    sample: bool = False
    __doc__: str = field(default="", init=False)

    def __post_init__(self) -> None:
        rule = self.fit or self.transform
        doc = f"{self.card.title}. {self.card.idea}\n\n{getattr(rule, '__doc__', '') or ''}"
        object.__setattr__(self, "__doc__", doc)

    @property
    def name(self) -> str:
        """The name on the card."""
        return self.card.name

    @property
    def options(self) -> Mapping[str, Any]:
        """Options and their defaults."""
        rule = self.fit or self.transform
        return {} if rule is None else options_of(rule)


Rule = Callable[[Evidence], Fitted]
