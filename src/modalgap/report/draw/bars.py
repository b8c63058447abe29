"""Horizontal bars with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from matplotlib.ticker import MaxNLocator

from modalgap.panels import Reference
from modalgap.report.draw.base import EDGE, SMALL, axes, widest
from modalgap.report.draw.lines import LETTER, reference
from modalgap.report.palette import Palette
from modalgap.result import Value

TICKS = 8  # of an x axis as wide as the drawing, at most
THICK = 0.8  # of all bars of a row, in rows
BOLD = 1.25 * LETTER  # of the width of a drawing, per letter of a bold name
LONGEST = 28  # letters in a line of a row's name
START = 0.03  # of the width of a drawing: where long lines of names start
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
    names = [fill(row, LONGEST) for row in rows]
    left = min(0.55, 0.05 + LETTER * widest(names))
    named = _lines([one.label for one in series]) if len(series) > 1 else []
    title = " " + "\n " * (len(named) - 1) if named else ""
    found = axes(figure, palette, title=title, xlabel=xlabel, left=left)
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
    found.set_yticks(range(len(rows)), names, color=palette.ink)
    found.xaxis.set_major_locator(MaxNLocator(max(2, int(TICKS * (EDGE - left)))))
    found.invert_yaxis()
    colours = {one.label: getattr(palette, one.colour) for one in series}
    for above, labels in enumerate(reversed(named)):
        _names(found, labels, colours, above)
    return "; ".join(said)


def _lines(labels: Sequence[str]) -> list[list[str]]:
    """The names of the columns in lines that are not wider than the drawing."""
    lines: list[list[str]] = [[]]
    for label in labels:
        if lines[-1] and _wide([*lines[-1], label]) > EDGE - START:
            lines.append([])
        lines[-1].append(label)
    return lines


def _wide(labels: Sequence[str]) -> float:
    """The width of names beside one another, as a fraction of the drawing."""
    return sum(BOLD * (len(label) + 2) for label in labels)


def _names(found: Any, labels: Sequence[str], colours: Mapping[str, str], above: int) -> None:
    """One line of names in their colours, ``above`` lines higher than the line at the axes."""
    place = found.get_position()
    at = min(place.x0, max(START, EDGE - _wide(labels)))  # from the axes on, if there is room
    for label in labels:
        found.annotate(
            label, ((at - place.x0) / place.width, 1), xycoords="axes fraction",
            xytext=(0, 6 + above * 1.2 * SMALL), textcoords="offset points", fontsize=SMALL,
            fontweight="bold", color=colours[label], annotation_clip=False,
        )  # fmt: skip
        at += _wide([label])
