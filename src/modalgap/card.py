"""Card: the description of a method.

Listings, documentation tables, report groups and the tests that run over a registry are derived
from cards, so a method is described once, in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "neither"]
Need = Literal[
    "pairs",  # which rows match: captions of images
    "labels",  # the class prompt of each row
    "factors",  # names of attributes and their values for each row
    "model",  # the model that made the embeddings
    "patches",  # an image tower with patches in that model
    "weights",  # the projection weights of the model
    "bank",  # rows that the method learns from: queries, or embeddings of the other modality
    "views",  # two augmented views of each image
    "bias",  # a learnable bias of the logits
]
Read = Literal["nothing", "means", "variances", "covariances", "rows", "pairs"]
Role = Literal["image", "text", "retrieved", "modality", "other"]
Trait = Literal[
    "invertible",  # a map that can be undone
    "any role",  # treats each role separately, so the number of roles is free
    "free sign",  # the sign of its directions is arbitrary
    "random",  # draws noise: needs a seed
    "sampled",  # draws a sample of rows if there are many
    "coordinates",  # depends on the axes of the space, so it changes under rotation
    "order",  # depends on the order of the rows
    "size",  # depends on the number of rows, so it changes if each row is stored twice
    "together",  # takes two or more modalities at once
]


@dataclass(frozen=True, kw_only=True)
class Card:
    """The description of one method.

    Attributes:
        name: the name used in Python, on the command line and in files.
        title: a short name for people.
        idea: one sentence on what it does.
        source: paper and section.
        question: the question that it answers, in the words of a user.
        equation: the definition, in LaTeX. x images, y texts, μ means, g = μ_x − μ_y.
        group: the heading under which reports and tables list it.
        needs: what the data or the call must provide besides the vectors; of a nested tuple, one
            member is enough.
        reads: what it reads of the vectors: sums up to the means, variances or covariances, single
            rows, or matched pairs of rows.
        roles: the rows that it changes or measures: "image" and "text" for the first and second
            modality, "retrieved" for the side that is searched, "modality" for each one separately,
            and "other" if this needs the other modality too. None: the pair as a whole.
        direction: whether a lower or a higher value means a smaller gap or better embeddings.
        low, high: the range of the value; None means unbounded.
        interval: how the 95 % interval is computed, or why there is none.
        unit: "" for a plain number, "°" for degrees.
        main: the numbers that represent the method in a leaderboard; {0} and {1} are the
            modalities.
        traits: properties that tests rely on.
        use_when: when to choose it.
        fails_when: its limits.
    """

    name: str
    title: str
    idea: str
    source: str
    question: str = ""
    equation: str = ""
    group: str = ""
    needs: tuple[Need | tuple[Need, ...], ...] = ()
    reads: Read = "rows"
    roles: tuple[Role, ...] = ()
    direction: Direction = "neither"
    low: float | None = None
    high: float | None = None
    interval: str = ""
    unit: str = ""
    main: tuple[str, ...] = ()
    traits: tuple[Trait, ...] = ()
    use_when: str = ""
    fails_when: str = ""

    def needed(self, need: Need) -> bool:
        """Whether the method requires ``need``."""
        return need in self.needs

    @property
    def requirements(self) -> str:
        """What it needs, in words: "pairs or labels"; "" if the vectors are enough."""
        parts = [" or ".join([each] if isinstance(each, str) else each) for each in self.needs]
        return ", ".join(parts)
