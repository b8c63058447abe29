"""Sections and blocks: what pages are made of. ``modalgap.report.page`` writes them as HTML.

A block has the values that the template macro of its kind shows; it computes nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modalgap.report.draw.base import Drawing
from modalgap.report.table import Row
from modalgap.result import Table
from modalgap.verdicts import NAMES, Verdict, by_kind, summary
from modalgap.views import Match

if TYPE_CHECKING:
    from markupsafe import Markup


IMAGE = '<img style="image-rendering: pixelated" alt="{}" src="data:image/png;base64,{}">'


@dataclass(frozen=True)
class Shown:
    """A picture as markup, with its title and caption."""

    title: str
    markup: Markup
    caption: str


def shown(drawing: Drawing) -> Shown:
    """A drawing as SVG."""
    from markupsafe import Markup

    return Shown(drawing.title, Markup(drawing.svg()), drawing.caption)  # noqa: S704 - our drawing


def shown_file(path: Path, title: str, caption: str, alt: str) -> Shown:
    """A PNG file, embedded in the page."""
    from markupsafe import Markup

    data = base64.b64encode(path.read_bytes()).decode()
    image = Markup(IMAGE).format(alt, data)  # noqa: S704 - our own text
    return Shown(title, image, caption)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Part of a section; ``kind`` is the name of its macro in the template."""

    kind: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Text(Block):
    """Paragraphs; muted for notes."""

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]
    muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Pictures(Block):
    """Pictures beside one another on a wide screen, ``columns`` in a row."""

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Shown]
    columns: int = 2


@dataclass(frozen=True, kw_only=True)
class Tiles(Block):
    """Key numbers."""

    kind: ClassVar[str] = "tiles"
    rows: Sequence[Row]


@dataclass(frozen=True, kw_only=True)
class Topics(Block):
    """Sentences by topic, with pictures beside them on a wide screen."""

    kind: ClassVar[str] = "topics"
    topics: Sequence[tuple[str, Sequence[str]]]
    beside: Sequence[Shown] = ()


@dataclass(frozen=True, kw_only=True)
class Measures(Block):
    """All measures by group."""

    kind: ClassVar[str] = "measures"
    groups: Sequence[tuple[str, Sequence[Row]]]


@dataclass(frozen=True, kw_only=True)
class Reasons(Block):
    """Names that were left out, each with the reason."""

    kind: ClassVar[str] = "reasons"
    head: str
    reasons: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Matches(Block):
    """Tables of matched pairs with their cosines, by heading."""

    kind: ClassVar[str] = "matches"
    names: Sequence[str]
    tables: Mapping[str, Sequence[Match]]


@dataclass(frozen=True, kw_only=True)
class Numbers(Block):
    """A table of values with intervals."""

    kind: ClassVar[str] = "numbers"
    table: Table


@dataclass(frozen=True, kw_only=True)
class Verdicts(Block):
    """Expected numbers beside ours: claim, where, published, ours, verdict.

    Attributes:
        head: of the first column.
        column: head of the column of expected numbers.
        rows: the verdicts.
    """

    kind: ClassVar[str] = "verdicts"
    head: str
    column: str
    rows: Sequence[Verdict]


def verdict_blocks(verdicts: Sequence[Verdict]) -> list[Block]:
    """For each kind of verdicts, its counts and its table."""
    blocks: list[Block] = []
    for kind, own in by_kind(verdicts).items():
        _, one, column = NAMES[kind]
        counts = [f"{line}." for line in summary(own)]
        blocks += [Text(paragraphs=counts), Verdicts(head=one, column=column, rows=own)]
    return blocks


@dataclass(frozen=True, kw_only=True)
class Heat(Block):
    """A heat map: groups of columns, and rows of coloured cells."""

    kind: ClassVar[str] = "heat"
    corner: tuple[str, str]
    heads: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix.

    Attributes:
        value: as text.
        interval: as text, for the pointer.
        below: a second, smaller line.
        strength: of the colour, 0 to 100.
    """

    value: str
    interval: str = ""
    below: str = ""
    strength: int = 0


@dataclass(frozen=True)
class Matrix:
    """Values by modality and modality.

    Attributes:
        title, note: above it.
        columns: their heads.
        rows: the head and the cells of each row; None where there is no value.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]


@dataclass(frozen=True, kw_only=True)
class Matrices(Block):
    """Matrices by heading; "" for none."""

    kind: ClassVar[str] = "matrices"
    groups: Sequence[tuple[str, Sequence[Matrix]]]


@dataclass(frozen=True, kw_only=True)
class Facts(Block):
    """Where numbers come from: label and text."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Commands(Block):
    """Lines for a shell."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Json(Block):
    """A result as JSON, folded."""

    kind: ClassVar[str] = "json"
    label: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page.

    Attributes:
        head: the heading; "" for none.
        blocks: in order.
        id: of the heading; by default its place.
        label: for screen readers, where there is no heading.
    """

    head: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    id: str = ""
    label: str = ""
