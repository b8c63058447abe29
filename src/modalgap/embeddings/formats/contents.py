"""Contents: what a file holds, as its reader returns it, before values are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.embeddings.rows import Rows
from modalgap.errors import FileError


@dataclass(frozen=True, eq=False)
class Side:
    """One modality of a file.

    Attributes:
        rows: the vectors as stored.
        names: one per row, or None.
        factors: name to one value per row.
        provenance: where the vectors come from.
        named: whether the file says which modality it is; False for a bare array.
        source: its own file, for messages, if ``Contents.source`` names several.
    """

    rows: Rows
    names: Sequence[str] | None = None
    factors: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    named: bool = True
    source: str = ""


@dataclass(frozen=True, eq=False)
class Matches:
    """Which rows of two modalities match.

    Attributes:
        own: the modality from which the matches are listed.
        other: the modality that it matches.
        values: (n,) the row of ``other`` for each row of ``own``; or (k, 2) a row of ``own`` and a
            row of ``other`` for each match.
        many: whether ``values`` is (k, 2).
        key: what the file calls them, for messages.
    """

    own: str
    other: str
    values: Any
    many: bool
    key: str


@dataclass(frozen=True, eq=False)
class Contents:
    """Any number of modalities and their matches, from the file or files that ``source`` names.

    Attributes:
        source: the file or files, for messages.
        sides: modality to what the file holds of it, in order.
        matches: at most one for any two modalities. Without any, row i matches row i.

    Raises:
        FileError: two modalities that are matched in two ways.
    """

    source: str
    sides: Mapping[str, Side]
    matches: Sequence[Matches] = ()

    def __post_init__(self) -> None:
        seen: dict[frozenset[str], str] = {}
        for each in self.matches:
            two = frozenset((each.own, each.other))
            if two in seen:
                raise FileError(
                    f"{self.source}: must match two modalities in one way only;"
                    f" found {seen[two]} and {each.key}"
                )
            seen[two] = each.key

    @property
    def matched_by(self) -> str:
        """How the two modalities match, as ``Pair.matched_by`` says it."""
        if not self.matches:
            return "rows"
        match = self.matches[0]
        if match.many:
            return "pairs"
        return "labels" if match.own == next(iter(self.sides)) else "text_to_image"
