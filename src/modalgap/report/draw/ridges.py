"""Histograms one above another, each scaled to its own height, with a line at its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from modalgap.report.draw.base import SMALL, axes
from modalgap.report.palette import Palette

LONGEST = 14  # letters of a word that fits left of the axes
RIDGE = 0.86  # height of the tallest bin; the ridges are 1 apart


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """One histogram.

    Attributes:
        label: its name.
        edges: (k + 1,) of the bins.
        counts: (k,) of the bins, in any unit.
        mean: of the values.
        colour: a field of ``Palette``.
    """

    label: str
    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    mean: float
    colour: str


def draw_ridges(figure: Any, palette: Palette, ridges: Sequence[Ridge], *, xlabel: str) -> str:
    """Draw histograms on an empty figure, the first at the top; returns the means in words."""
    found = axes(figure, palette, xlabel=xlabel, left=0.285)
    for place, ridge in enumerate(reversed(ridges)):
        colour = getattr(palette, ridge.colour)
        height = ridge.counts / max(float(ridge.counts.max()), 1e-300) * RIDGE
        across = np.repeat(ridge.edges, 2)
        outline = np.concatenate([[0.0], np.repeat(height, 2), [0.0]]) + place
        found.fill_between(across, outline, place, color=colour, alpha=0.28, linewidth=0)
        found.plot(across, outline, color=colour, linewidth=1.1)
        line: Any = {"color": colour, "lw": 1.1, "ls": (0, (2, 2))}
        found.plot([ridge.mean, ridge.mean], [place, place + RIDGE], **line)
        _label(found, place, ridge, palette)
    found.set_yticks([])
    found.spines["left"].set_visible(False)
    found.set_ylim(-0.06, len(ridges) - 0.06)
    found.set_xlim(min(each.edges[0] for each in ridges), max(each.edges[-1] for each in ridges))
    found.grid(axis="x", color=palette.grid, linewidth=0.6)
    found.set_axisbelow(True)
    return ", ".join(f"{each.label} {each.mean:.2f}" for each in ridges)


def _label(found: Axes, place: int, ridge: Ridge, palette: Palette) -> None:
    """Name and mean of a ridge, to its left."""
    for text, up, tone, weight in (
        (f"mean {ridge.mean:.2f}".replace("-", "−"), 2, palette.muted, "normal"),
        (_broken(ridge.label), 13, getattr(palette, ridge.colour), "bold"),
    ):
        found.annotate(
            text,
            (0, place),
            xycoords=("axes fraction", "data"),
            xytext=(-8, up),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=tone,
            fontweight=weight,
            fontsize=SMALL,
            annotation_clip=False,
        )


def _broken(label: str) -> str:
    """One word per line; a long one, such as the name of a file, is broken at its underscores."""
    words = label.split()
    return "\n".join(each if len(each) <= LONGEST else each.replace("_", "_\n") for each in words)
