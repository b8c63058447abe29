"""Drawings: what a page and a paper show, and what the drawing functions share."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalgap.report.palette import LIGHT, STAND_IN, Palette, style
from modalgap.report.svg import inline
from modalgap.views import Views

WIDTH, HEIGHT = 4.1, 3.4  # inches: a column of a paper, and legible on a phone
SMALL = 8.5  # points
EDGE = 0.955  # right end of axes without labels: half of the last tick label has room
COLUMNS = 3  # drawings in a row of a figure
HEAD = 0.36  # inches above each drawing of a figure for its title
SHARP, SCREEN = 200, 100  # dots per inch of an image in a notebook, and of the space it takes


class Inline(Figure):
    """A figure that a notebook shows, also if nothing has imported pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        with style(), _any_script():
            self.savefig(buffer, format="png", dpi=SHARP)
        width, height = (round(SCREEN * inches) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One drawing with its data. Pages show it as SVG, papers as a figure.

    Attributes:
        name: prefix of the ids in a page, and the name of an exported file.
        title: a few words.
        caption: what it shows and what to look for.
        draw: draws onto an empty figure in the colours of a palette; returns a description with
            the main numbers, for screen readers.
        scale: height divided by the usual height.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Any, Palette], str]
    scale: float = 1.0

    def svg(self) -> str:
        """The ``<svg>`` element for a page, coloured by the page's CSS variables."""
        with style(self.name):
            figure, alt = self._drawn(STAND_IN)
        return inline(figure, self.name, f"{self.title}. {alt}")

    def figure(self, palette: Palette = LIGHT) -> Figure:
        """The drawing as a matplotlib figure."""
        with style(self.name):
            figure, _ = self._drawn(palette)
        figure.set_facecolor(palette.paper)
        return figure

    def _drawn(self, palette: Palette) -> tuple[Figure, str]:
        figure = Inline(figsize=(WIDTH, self.scale * HEIGHT), facecolor="none")
        with _any_script():
            return figure, self.draw(figure, palette)


def widest(texts: Iterable[str]) -> int:
    """Letters of the longest line."""
    return max((len(line) for text in texts for line in text.split("\n")), default=0)


def side_by_side(drawings: Sequence[Drawing], palette: Palette = LIGHT) -> Figure:
    """Several drawings in one figure, each with its title above it, in rows of a few."""
    columns = len(drawings) if len(drawings) <= COLUMNS else _even(len(drawings))
    rows = [drawings[at : at + columns] for at in range(0, len(drawings), columns)]
    heights = [h for row in rows for h in (HEAD, HEIGHT * max(each.scale for each in row))]
    with style("figure"), _any_script():
        figure = Inline(figsize=(columns * WIDTH, sum(heights)), facecolor=palette.paper)
        parts: Any = figure.subfigures(
            len(heights), columns, squeeze=False, height_ratios=heights, hspace=0
        )
        for each in parts.flat:
            each.set_facecolor("none")
        for at, row in enumerate(rows):
            for above, below, drawing in zip(*parts[2 * at : 2 * at + 2], row, strict=False):
                above.text(0.03, 0.2, drawing.title, fontsize=SMALL + 3, color=palette.ink)
                drawing.draw(below, palette)
    return figure


def _even(drawings: int) -> int:
    """Columns, at most ``COLUMNS``, that leave the fewest places empty."""
    return max(range(2, COLUMNS + 1), key=lambda columns: (-(-drawings % columns), columns))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing of the report: made from the views of the data.

    Attributes:
        name: name of the exported file, and prefix of ids in the page.
        title: a few words.
        applies: whether the views have the data that it shows.
        draw: draws onto an empty figure.
        caption: what it shows and what to look for.
        alt: a description with the main numbers, for screen readers.
    """

    name: str
    title: str
    applies: Callable[[Views], bool]
    draw: Callable[[Figure, Views, Palette], None]
    caption: Callable[[Views], str]
    alt: Callable[[Views], str]

    def drawing(self, views: Views) -> Drawing:
        """The drawing of these views."""

        def draw(figure: Figure, palette: Palette) -> str:
            self.draw(figure, views, palette)
            return self.alt(views)

        return Drawing(name=self.name, title=self.title, caption=self.caption(views), draw=draw)


@contextmanager
def _any_script() -> Iterator[None]:
    """Names may be in any script; the page has the reader's fonts for them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def axes(
    figure: Any,
    palette: Palette,
    *,
    title: str = "",
    xlabel: str = "",
    left: float = 0.125,
    right: float = EDGE,
) -> Axes:
    """Axes without a box or ticks; the label of the y axis is above it.

    Their position is fixed, so that long names do not shrink the plot.
    """
    inch = HEIGHT * figure.dpi / figure.bbox.height  # of the usual height, in heights of this one
    bottom, top = 0.14 * inch, 1 - (0.1 if title else 0.015) * inch
    found: Axes = figure.add_axes((left, bottom, right - left, top - bottom))
    dress(found, palette)
    if title:
        found.set_title(title, loc="left", fontsize=SMALL, color=palette.muted, pad=8)
    if xlabel:
        found.set_xlabel(xlabel, fontsize=SMALL, color=palette.muted)
    return found


def dress(found: Axes, palette: Palette) -> None:
    """Set the colours of axes."""
    found.set_facecolor("none")
    for spine in found.spines.values():
        spine.set_color(palette.grid)
    found.tick_params(
        left=False, bottom=False, labelsize=SMALL, labelcolor=palette.muted, color=palette.grid
    )


def apart(
    values: Sequence[float], least: float, lowest: float = -math.inf, highest: float = math.inf
) -> list[float]:
    """Positions near ``values``, in the same order, at least ``least`` from one another.

    All are between ``lowest`` and ``highest``; if there is no room, some are above ``highest``.

    Of equal values the first is the highest, as in a legend.
    """
    order = sorted(range(len(values)), key=lambda at: (round(values[at], 3), -at))
    found = [float(value) for value in values]
    for _ in range(200):  # move neighbours apart until none overlap
        moved = False
        for low, high in pairwise(order):
            lack = least - (found[high] - found[low])
            if lack > 1e-9:
                found[low] -= lack / 2
                found[high] += lack / 2
                moved = True
        if not moved:
            break
    top = highest
    for at in reversed(order):
        found[at] = min(found[at], top)
        top = found[at] - least
    bottom = lowest
    for at in order:
        found[at] = max(found[at], bottom)
        bottom = found[at] + least
    return found
