"""A scatter plot of two columns of a table, one point per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from modalgap.panels import Logarithmic, Reference
from modalgap.report.draw.base import EDGE, SMALL, axes, widest
from modalgap.report.draw.lines import LETTER, MARKS, reference
from modalgap.report.palette import Palette

LONGEST = 28  # letters in a line of a label


@dataclass(frozen=True, kw_only=True)
class Points:
    """The points of one group.

    Attributes:
        label: name of the group.
        x, y: k values each.
        names: of the points; empty for none.
        colour: a field of ``Palette``.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str] = ()
    colour: str = "ink"


def draw_points(
    figure: Any,
    palette: Palette,
    groups: Sequence[Points],
    *,
    xlabel: str = "",
    ylabel: str = "",
    log: Logarithmic = "",
    references: Sequence[Reference] = (),
) -> str:
    """Draw groups of points on an empty figure; returns what they show in words."""
    labels = {each.label: fill(each.label, LONGEST) for each in groups if each.label}
    longest = widest(labels.values())
    right = EDGE if not longest else max(0.48, 0.955 - LETTER * longest)
    found = axes(figure, palette, title=ylabel, xlabel=xlabel, right=right)
    for each in groups:
        colour = getattr(palette, each.colour)
        found.plot(
            each.x, each.y, linestyle="none", marker=MARKS.get(each.colour, "o"), markersize=4.5,
            markeredgewidth=0, color=colour, alpha=0.8,
        )  # fmt: skip
        for x, y, name in zip(each.x, each.y, each.names, strict=False):
            found.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points",
                           fontsize=SMALL - 1, color=palette.muted)  # fmt: skip
    if "x" in log:
        found.set_xscale("log")
    if "y" in log:
        found.set_yscale("log")
    for line in references:
        reference(found, line, palette)
    height = 1.0
    for each in (each for each in groups if each.label):
        found.annotate(
            labels[each.label], (1, height), xycoords="axes fraction", xytext=(7, 0),
            textcoords="offset points", va="top", fontsize=SMALL,
            color=getattr(palette, each.colour), annotation_clip=False,
        )  # fmt: skip
        height -= 0.015 + 0.055 * len(labels[each.label].split("\n"))
    return "; ".join(
        f"{each.label or 'points'}: {len(each.x)}, x from {min(each.x):.3g} to {max(each.x):.3g},"
        f" y from {min(each.y):.3g} to {max(each.y):.3g}"
        for each in groups
        if each.x
    )
