"""Horizontal bars with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from modalgap.panels import Reference
from modalgap.report.draw.base import EDGE, SMALL, axes
from modalgap.report.draw.lines import LETTER, reference
from modalgap.report.palette import Palette
from modalgap.result import Value

TICKS = 8  # of an x axis as wide as the drawing, at most
THICK = 0.8  # of all bars of a row, in rows
BOLD = 1.25 * LETTER  # of the width of a drawing, per letter of a bold name
SOLID = 0.6  # opacity: an interval is visible on its bar


@dataclass(frozen=True, kw_only=True)
class BarSeries:
    """The bars of one column.

    Attributes:
        label: its name.
        values: one for each row; None where the row has no such number.
        colour: a field of ``Palette``.
    """

    label: str
    values: Sequence[Value | None]
    colour: str


def draw_bars(
    figure: Any,
    palette: Palette,
    rows: Sequence[str],
    series: Sequence[BarSeries],
    *,
    xlabel: str = "",
    references: Sequence[Reference] = (),
) -> str:
    """Draw bars on an empty figure; returns the values in words."""
    left = min(0.5, 0.05 + LETTER * max(map(len, rows), default=0))
    named = len(series) > 1
    found = axes(figure, palette, title=" " if named else "", xlabel=xlabel, left=left)
    each = THICK / max(1, len(series))
    said = []
    for at, one in enumerate(series):
        colour = getattr(palette, one.colour)
        for row, value in enumerate(one.values):
            if value is None:
                continue
            place = row - THICK / 2 + each * (at + 0.5)
            found.barh(place, value.value, height=0.9 * each, color=colour, alpha=SOLID)
            if value.interval is not None:
                found.plot(value.interval, [place, place], color=palette.ink, linewidth=1.0)
            said.append(f"{rows[row]}, {one.label}: {value.value:.3f}")
    found.axvline(0, color=palette.grid, linewidth=0.8)
    for line in references:
        reference(found, line, palette)
    found.set_yticks(range(len(rows)), rows, color=palette.ink)
    found.xaxis.set_major_locator(MaxNLocator(max(2, int(TICKS * (EDGE - left)))))
    found.invert_yaxis()
    if named:
        _names(found, series, palette)
    return "; ".join(said)


def _names(found: Any, series: Sequence[BarSeries], palette: Palette) -> None:
    """The names of the columns in their colours, in a line above the axes."""
    at = 0.0
    for one in series:
        found.annotate(
            one.label, (at, 1), xycoords="axes fraction", xytext=(0, 6),
            textcoords="offset points", fontsize=SMALL, fontweight="bold",
            color=getattr(palette, one.colour), annotation_clip=False,
        )  # fmt: skip
        at += BOLD * (len(one.label) + 2) / found.get_position().width
