"""Card: what every method says of itself.

Command-line listings, the documentation tables and the report are generated from cards,
so a method is described once, beside its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """The description of one method.

    Attributes:
        name: the name used in Python, on the command line and in JSON.
        title: a short name for people.
        question: the question that it answers, as a user would ask it.
        idea: one sentence on what is computed.
        equation: the definition, in LaTeX.
        source: paper and section.
        direction: whether a lower or a higher value means a smaller gap or a healthier space.
        low, high: the range of the value; None is unbounded.
        needs: what must be there beyond the vectors: "pairs", "labels", "factors", "classes".
        interval: how the 95 % interval is made, or why there is none.
        unit: "" for a plain number, "°" for degrees.
    """

    name: str
    title: str
    question: str
    idea: str
    equation: str
    source: str
    direction: Direction
    low: float | None = None
    high: float | None = None
    needs: tuple[str, ...] = ()
    interval: str
    unit: str = ""
