"""Panels: data that describe how a page or figure shows a table; ``modalgap.report`` draws them.

A panel names columns of a ``modalgap.result.Table``. The files that a panel names are in the folder
of the study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from modalgap.result import Table

Words = str | Callable[[Table], str]
Logarithmic = Literal["", "x", "y", "xy"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The attributes of all kinds of panels.

    Attributes:
        title: the title above the panel.
        caption: what the panel shows, and what to look for.
        in_figure: whether the exported figure contains it; a page contains every panel.
    """

    title: str
    caption: str = ""
    in_figure: bool = True


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A dashed reference line.

    Attributes:
        at: its position: a number, or a column, whose value in the first row of the panel is used.
        axis: "y" for a horizontal line, "x" for a vertical one, "xy" for y = x + at.
        label: text next to it.
    """

    at: float | str
    axis: Literal["x", "y", "xy"] = "y"
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Curves(Panel):
    """Lines with 95 % intervals.

    Attributes:
        ys: column to label, one line each.
        x: the column of x; "" for the names of the rows, at equal distances if they are not
            numbers.
        group: a column; the first column of ``ys`` is drawn as one line for each of its values.
        trace: a column of traced numbers (``modalgap.trace``), instead of ``ys``: one line for
            each row.
        match: rows whose name contains this text; all by default.
        dashed: lines whose row or column name contains this text are dashed; "" for none. If the
            name of each dashed line is that of another line and this text, it has the colour of
            that line and no label.
        across: column to x, instead of ``ys``: one line for each row.
        level: a row that is drawn as dotted horizontal lines, in the colours of the lines.
        xlabel, ylabel: axis titles.
        log: axes with a logarithmic scale. An x axis that starts at 0 is linear up to 1.
        zero: whether the y axis includes 0.
        limits: limits of the y axis; None is automatic.
        references: reference lines.
    """

    ys: Mapping[str, str] = field(default_factory=dict)
    x: str = ""
    group: str = ""
    across: Mapping[str, float] = field(default_factory=dict)
    trace: str = ""
    match: str = ""
    dashed: str = ""
    level: str = ""
    xlabel: str = ""
    ylabel: str = ""
    log: Logarithmic = ""
    zero: bool = True
    limits: tuple[float | None, float | None] = (None, None)
    references: Sequence[Reference] = ()


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """Horizontal bars with 95 % intervals: for each row one bar per column.

    Attributes:
        ys: column to label.
        xlabel: axis title.
        match: rows whose name contains this text; all by default.
        references: reference lines; their axis is "x".
    """

    ys: Mapping[str, str]
    xlabel: str = ""
    match: str = ""
    references: Sequence[Reference] = ()


@dataclass(frozen=True, kw_only=True)
class Scatter(Panel):
    """One point per row, or one cloud of points per row.

    Attributes:
        x, y: columns.
        trace: a column of traced numbers (``modalgap.trace``), instead of ``x`` and ``y``: one
            colour for each row.
        match: rows whose name contains this text; all by default.
        group: a column; one colour for each of its values.
        named: whether the names of the rows are shown next to the points.
        xlabel, ylabel: axis titles; by default the titles of the columns.
        log: axes with a logarithmic scale.
        references: reference lines.
    """

    x: str = ""
    y: str = ""
    trace: str = ""
    match: str = ""
    group: str = ""
    named: bool = False
    xlabel: str = ""
    ylabel: str = ""
    log: Logarithmic = ""
    references: Sequence[Reference] = ()


@dataclass(frozen=True, kw_only=True)
class Histogram(Panel):
    """One histogram per row, one above another, with a dashed line at the value of the row.

    Attributes:
        column: its values have ``edges`` (k + 1) and ``counts`` (k) in their ``details``.
        xlabel: axis title.
        match: rows whose name contains this text; all by default.
    """

    column: str
    xlabel: str = ""
    match: str = ""


@dataclass(frozen=True, kw_only=True)
class Clouds(Panel):
    """The embeddings of a pair in two coordinates, one colour per modality.

    Attributes:
        file: the file of a pair.
        along: the file of the pair whose gap is the x axis; by default the same file.
        components: whether the axes are the first two principal components of both modalities,
            instead of the gap and the first component across it.
        limits: largest x and y, so that several panels have the same scale.
    """

    file: str
    along: str = ""
    components: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Image(Panel):
    """An image; only pages show it.

    Attributes:
        file: the PNG file.
        alt: a description for screen readers.
    """

    file: str
    alt: str
    in_figure: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a page: a heading, text and panels.

    Attributes:
        head: the heading.
        words: paragraphs; a function gets the table.
        panels: the panels, in order.
        columns: largest number of panels side by side on a wide screen.
    """

    head: str
    words: Sequence[Words] = ()
    panels: Sequence[Panel] = ()
    columns: Literal[1, 2, 3] = 3


def files(parts: Sequence[Part]) -> list[str]:
    """The files that panels read, besides the table."""
    found = []
    for panel in (panel for part in parts for panel in part.panels):
        if isinstance(panel, Clouds):
            found += [panel.file, panel.along or panel.file]
        elif isinstance(panel, Image):
            found.append(panel.file)
    return list(dict.fromkeys(found))
