"""Contents: what a file says, as a reader hands it on, before the door has looked at values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.embeddings.rows import Rows

SIDES = ("image", "text")
MATCHES = ("text_to_image", "labels", "pairs")


@dataclass(frozen=True, eq=False)
class Side:
    """One modality of a file.

    Attributes:
        rows: the vectors as stored.
        names: one a row, or None.
        factors: name to one value a row.
        provenance: where the vectors come from.
        modality: its name as the file gives it; None where the file does not say.
    """

    rows: Rows
    names: Sequence[str] | None = None
    factors: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    modality: str | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """Up to two modalities and who matches whom, from the file or files that ``source`` names."""

    source: str
    image: Side | None = None
    text: Side | None = None
    text_to_image: Any = None
    labels: Any = None
    pairs: Any = None

    @property
    def sides(self) -> dict[str, Side]:
        """The sides that are there, by key."""
        both = {"image": self.image, "text": self.text}
        return {key: side for key, side in both.items() if side is not None}

    @property
    def matched_by(self) -> str:
        """Which kind of match the file gives, for messages."""
        return next((key for key in MATCHES if getattr(self, key) is not None), "rows")

    @property
    def matches(self) -> dict[str, Any]:
        """The kinds of match that the file gives, by name."""
        found = {key: getattr(self, key) for key in MATCHES}
        return {key: value for key, value in found.items() if value is not None}
