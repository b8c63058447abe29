"""Lines with 95 % intervals, reference lines and labels at their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes

from modalgap.panels import Logarithmic, Reference
from modalgap.report.draw.base import EDGE, SMALL, apart, axes
from modalgap.report.palette import Palette

LETTER = 0.0165  # of the width of a drawing, per letter of a label
LABELLED = 8  # values of x up to which each has its own label
DECADES = 30  # values of x on a logarithmic axis beyond which powers of ten are labelled
APART = 2.5  # ratio between labelled values on a logarithmic axis
NEAR = 0.08  # of the x axis: lines that end this close to the right edge are labelled there
DASHES = (0, (3, 2))
MARKS = {"matched": "^", "text": "s", "unmatched": "D", "muted": "v"}  # of colours, for grey print


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        label: text at its end.
        x, y: k values each.
        intervals: (low, high) or None for each value; empty for none at all.
        colour: a field of ``Palette``.
        dashed: whether the line is dashed.
        named: whether the label is drawn.
        level: draws a dotted horizontal line in the same colour.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    intervals: Sequence[tuple[float, float] | None] = ()
    colour: str = "ink"
    dashed: bool = False
    named: bool = True
    level: float | None = None


def draw_lines(
    figure: Any,
    palette: Palette,
    lines: Sequence[Line],
    *,
    xlabel: str = "",
    ylabel: str = "",
    log: Logarithmic = "",
    zero: bool = True,
    limits: tuple[float | None, float | None] = (None, None),
    names: Sequence[str] = (),
    references: Sequence[Reference] = (),
) -> str:
    """Draw lines on an empty figure.

    Args:
        figure: a matplotlib figure or subfigure.
        palette: the colours.
        lines: in order.
        xlabel: title of the x axis.
        ylabel: title of the y axis.
        log: axes with a logarithmic scale.
        zero: whether the y axis includes 0.
        limits: of the y axis; None is automatic.
        names: labels of x = 0, 1, …, instead of numbers.
        references: reference lines.

    Returns:
        The values in words.
    """
    edge = max((max(line.x) for line in lines), default=0.0)
    near = 0.3 * edge if "x" in log else 0.9 * edge  # whose labels are right of the axes
    longest = max(
        (len(line.label) for line in lines if line.named and line.x[-1] >= near), default=0
    )
    outside = [each for each in references if longest and each.axis == "y" and each.label]
    longest = max([longest, *(len(each.label) for each in outside)])
    right = EDGE if not longest else max(0.55, 0.955 - LETTER * longest)
    found = axes(figure, palette, title=ylabel, xlabel=xlabel, left=0.125, right=right)
    for line in lines:
        _line(found, line, palette)
    for each in references:
        reference(found, replace(each, label="") if each in outside else each, palette)
    if "y" in log:
        found.set_yscale("log")
        found.tick_params(axis="y", which="minor", left=False)
        found.yaxis.set_major_formatter(_power)
    elif zero:
        found.set_ylim(min(0, found.get_ylim()[0]), None)
    found.set_ylim(*limits)
    _ticks(found, sorted({x for line in lines for x in line.x}), names, "x" in log)
    _labels(found, lines, outside, palette)
    return "; ".join(_said(line, names) for line in lines)


def reference(found: Axes, each: Reference, palette: Palette) -> None:
    """Draw a reference line, whose position is a number, with its label."""
    at = float(each.at)
    style: Any = {"color": palette.ink, "linewidth": 0.9, "linestyle": DASHES, "zorder": 0}
    label: Any = {"textcoords": "offset points", "fontsize": SMALL - 0.5, "color": palette.ink}
    if each.axis == "y":
        found.axhline(at, **style)
        place: Any = {"xycoords": ("axes fraction", "data"), "xytext": (2, 3)}
        found.annotate(each.label, (0, at), **place, **label)
    elif each.axis == "xy":
        found.axline((0, at), slope=1, **style)
        high = min(found.get_xlim()[1], found.get_ylim()[1] - at)
        place = {"xytext": (-6, 0), "ha": "right", "va": "top"}
        found.annotate(each.label, (high, high + at), **place, **label)
    else:
        found.axvline(at, **style)
        place = {"xycoords": ("data", "axes fraction"), "xytext": (3, -3), "va": "top"}
        found.annotate(each.label, (at, 1), **place, **label)


def _line(found: Axes, line: Line, palette: Palette) -> None:
    colour = getattr(palette, line.colour)
    dash: Any = DASHES if line.dashed else "solid"
    mark = MARKS.get(line.colour, "o")
    marks: Any = {"marker": mark, "markersize": 3.5} if len(line.x) <= 30 and line.named else {}
    found.plot(line.x, line.y, color=colour, linewidth=1.4, linestyle=dash, **marks)
    for x, interval in zip(line.x, line.intervals, strict=False):
        if interval is not None:
            found.plot([x, x], interval, color=colour, linewidth=1.0, alpha=0.7)
    if line.level is not None:
        found.axhline(line.level, color=colour, linewidth=0.9, linestyle=":")


def _ticks(found: Axes, places: list[float], names: Sequence[str], log: bool) -> None:
    """Label the values of x, or those of them that have room."""
    if not places:
        return
    if names:
        found.set_xticks(range(len(names)), names)
        found.margins(x=0.12)
        return
    if log:
        if places[0] > 0:
            found.set_xscale("log")
        else:
            found.set_xscale("symlog", linthresh=1)
            found.set_xlim(0, None)
        if len(places) > DECADES:  # a trace: powers of ten, at most six
            shown = [0.0] if places[0] <= 0 else []
            least = 0 if shown else math.ceil(math.log10(places[0]))
            powers = range(least, math.floor(math.log10(places[-1])) + 1)
            shown += [10.0**power for power in powers[:: math.ceil(len(powers) / 6) or 1]]
            found.set_xticks(shown, [_power(place) for place in shown])
            found.minorticks_off()
            return
        shown = []
        for place in reversed(places):  # from the largest down, those that are far enough apart
            if not shown or APART * place <= shown[-1] or len(places) <= LABELLED:
                shown.append(place)
        found.set_xticks(shown, [f"{place:,g}" for place in shown])
        found.minorticks_off()
    elif len(places) <= LABELLED:
        found.set_xticks(places, [f"{place:g}" for place in places])


def _power(value: float, _place: object = None) -> str:
    """A tick of a logarithmic axis; the default of matplotlib is mathtext, which is not parsed."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:g}"
    mantissa, _, power = f"{value:e}".partition("e")
    return f"{float(mantissa):g}e{int(power)}"


def _labels(
    found: Axes, lines: Sequence[Line], outside: Sequence[Reference], palette: Palette
) -> None:
    """The label of each line: right of its end if that is the right edge, else above its end.

    The labels of horizontal reference lines are among those at the right edge.
    """
    named = [line for line in lines if line.label and line.named and len(line.x)]
    last = max((max(line.x) for line in named), default=0.0)
    edge = [line for line in named if _across(found, line.x[-1]) > 1 - NEAR or line.x[-1] == last]
    ends = [(line.label, line.y[-1], line.colour) for line in edge]
    ends += [(each.label, float(each.at), "ink") for each in outside]
    heights = [_height(found, y) for _, y, _ in ends]
    for (label, _, colour), height in zip(ends, apart(heights, 0.065, 0.02, 1.0), strict=True):
        found.annotate(
            label, (1, height), xycoords="axes fraction", xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=SMALL,
            color=getattr(palette, colour), annotation_clip=False,
        )  # fmt: skip
    for line in named:
        if line not in edge:
            found.annotate(
                line.label, (line.x[-1], line.y[-1]), xytext=(4, 6), textcoords="offset points",
                fontsize=SMALL, color=getattr(palette, line.colour),
            )  # fmt: skip


def _across(found: Axes, x: float) -> float:
    """Where a value of x is, as a fraction of the axes."""
    place = found.transAxes.inverted().transform(found.transData.transform((x, 1.0)))
    return float(place[0])


def _height(found: Axes, y: float) -> float:
    """Where a value of y is, as a fraction of the axes."""
    low, high = found.get_ylim()
    if found.get_yscale() == "log":
        low, high, y = math.log(low), math.log(high), math.log(max(y, low))
    return (y - low) / (high - low)


def _said(line: Line, names: Sequence[str]) -> str:
    points = list(zip(line.x, line.y, strict=True))
    some = points if len(points) <= 12 else [points[0], points[len(points) // 2], points[-1]]
    where = [names[int(x)] if names else f"{x:g}" for x, _ in some]
    values = ", ".join(f"{y:.3f} at {x}" for x, (_, y) in zip(where, some, strict=True))
    level = "" if line.level is None else f"; dotted {line.level:.3f}"
    return f"{line.label}: {values}{level}" if line.label else f"{values}{level}"
