"""What a picture is, and what pictures share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalgap.report.palette import Palette
from modalgap.views import Views

WIDTH, HEIGHT = 4.1, 3.4  # inches: a column of a paper, and legible on a phone
SMALL = 8.5  # points


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture: how to draw it and how to say it.

    Attributes:
        name: of the file, and the prefix of ids in the page.
        title: a few words.
        applies: whether the views have what it shows.
        draw: onto an empty figure.
        caption: what it shows and what to look for.
        alt: what it shows, with its numbers, for those who do not see it.
    """

    name: str
    title: str
    applies: Callable[[Views], bool]
    draw: Callable[[Figure, Views, Palette], None]
    caption: Callable[[Views], str]
    alt: Callable[[Views], str]

    def figure(self, views: Views, palette: Palette) -> Figure:
        """The picture in these colours."""
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
        with warnings.catch_warnings():
            # names may be in any script; the page has the reader's fonts for them
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            self.draw(figure, views, palette)
        return figure


def axes(
    figure: Figure,
    palette: Palette,
    *,
    title: str = "",
    xlabel: str = "",
    left: float = 0.125,
    right: float = 0.985,
) -> Axes:
    """Axes without boxes or ticks; what is on the y axis stands above it, to be read level.

    They stand at a fixed place, so that no name, however long, pushes the picture together.
    """
    top = 0.9 if title else 0.985
    found: Axes = figure.add_axes((left, 0.14, right - left, top - 0.14))
    dress(found, palette)
    if title:
        found.set_title(title, loc="left", fontsize=SMALL, color=palette.muted, pad=8)
    if xlabel:
        found.set_xlabel(xlabel, fontsize=SMALL, color=palette.muted)
    return found


def dress(found: Axes, palette: Palette) -> None:
    """Our colours on axes."""
    found.set_facecolor("none")
    for spine in found.spines.values():
        spine.set_color(palette.grid)
    found.tick_params(
        left=False, bottom=False, labelsize=SMALL, labelcolor=palette.muted, color=palette.grid
    )


def apart(values: Sequence[float], least: float) -> list[float]:
    """Positions near ``values``, in the same order, at least ``least`` from one another."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    found = [float(value) for value in values]
    for _ in range(200):  # push neighbours apart until nobody touches
        moved = False
        for low, high in pairwise(order):
            lack = least - (found[high] - found[low])
            if lack > 1e-9:
                found[low] -= lack / 2
                found[high] += lack / 2
                moved = True
        if not moved:
            break
    return found
