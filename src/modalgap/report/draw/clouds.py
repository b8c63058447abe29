"""Both modalities as clouds: along the gap, in two principal components or in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modalgap.modality import article, legible, plural
from modalgap.report.draw.base import SMALL, Picture, axes
from modalgap.report.palette import Palette
from modalgap.views import Plane, Views


def scatter(figure: Any, plane: Plane, names: Sequence[str], palette: Palette) -> Axes:
    """Points of both modalities on axes of equal scale, with lines between pairs, and names."""
    found = axes(figure, palette, title=plane.labels[1], xlabel=plane.labels[0], left=0.145)
    if len(plane.lines):
        # one path with breaks: small, and crossings do not darken
        broken = np.full((len(plane.lines), 3, 2), np.nan)
        broken[:, :2] = plane.lines
        flat = broken.reshape(-1, 2)
        found.plot(flat[:, 0], flat[:, 1], color=palette.muted, linewidth=0.45, alpha=0.45)
    for which, points in enumerate(plane.points):
        found.plot(
            *points.T,
            linestyle="none",
            marker="o",
            markersize=float(np.clip(60 / len(points) ** 0.5, 2.6, 5)),
            markeredgewidth=0,
            color=palette.modality(which),
            alpha=0.6,
        )
    _equal_scale(found, np.concatenate(plane.points), 0.12 if len(plane.points) < 3 else 0.22)
    _name_clouds(found, plane, names, palette)
    return found


def _equal_scale(found: Axes, points: NDArray[np.float64], room: float) -> None:
    """Limits with equal scales, so that distances on paper are distances, and room for names.

    matplotlib's equal aspect would use up the room.
    """
    low, high = points.min(0), points.max(0)
    span = np.maximum((high - low) * (1 + 2 * np.array([0.06, room])), 1e-12)
    box = found.get_window_extent()
    ratio = box.height / box.width
    span = np.maximum(span, [span[1] / ratio, span[0] * ratio])
    middle = (low + high) / 2
    found.set_xlim(middle[0] - span[0] / 2, middle[0] + span[0] / 2)
    found.set_ylim(middle[1] - span[1] / 2, middle[1] + span[1] / 2)


def _name_clouds(found: Axes, plane: Plane, names: Sequence[str], palette: Palette) -> None:
    """The name of each cloud above it; names of clouds that overlap are moved apart."""
    middles = [points.mean(0) for points in plane.points]
    tops = [float(points[:, 1].max()) for points in plane.points]
    near = 0.25 * float(np.ptp(np.concatenate(plane.points)[:, 0]))
    over = len(middles) == 2 and abs(middles[0][0] - middles[1][0]) < near
    left = 0 if len(middles) < 2 or middles[0][0] <= middles[1][0] else 1
    for which, (middle, top) in enumerate(zip(middles, tops, strict=True)):
        side = "center" if not over else ("right" if which == left else "left")
        # of three or more, a name stands above those of clouds beside it
        level = sum(abs(middle[0] - each[0]) < near for each in middles[:which])
        beside = [tops[i] for i, each in enumerate(middles) if abs(middle[0] - each[0]) < near]
        found.annotate(
            plural(names[which]),
            (middle[0], max(tops) if over else max(beside) if len(middles) > 2 else top),
            xytext=(
                {"center": 0, "right": -4, "left": 4}[side],
                5 + (14 * level if len(middles) > 2 else 0),
            ),
            textcoords="offset points",
            ha=side,
            color=palette.modality(which),
            fontweight="bold",
            fontsize=SMALL + 1,
            bbox={"facecolor": palette.paper, "alpha": 0.75, "edgecolor": "none", "pad": 1},
            annotation_clip=False,
        )


def _draw_gap(figure: Figure, views: Views, palette: Palette) -> None:
    if views.gap is not None:
        scatter(figure, views.gap, views.names, palette)


def _draw_pca(figure: Figure, views: Views, palette: Palette) -> None:
    if views.pca is not None:
        scatter(figure, views.pca, views.names, palette)


def _draw_top(figure: Figure, views: Views, palette: Palette) -> None:
    if views.top is not None:
        scatter(figure, views.top, views.names, palette)


def _lines(views: Views) -> str:
    a, b = (legible(name) for name in views.names)
    return f"Thin lines connect {article(a)} and its own {b}."


def _gap_caption(views: Views) -> str:
    a, b = map(plural, views.names)
    return (
        f"x: along the gap vector, from the mean of the {a} to the mean of the {b}. y: the first"
        f" principal component orthogonal to it. {_lines(views)} Clouds that are apart along x"
        " mean a gap. If they overlap, the distance between the means is small compared with the"
        " spread; a combination of other directions may still separate them."
    )


def _gap_alt(views: Views) -> str:
    if views.gap is None:
        return ""
    apart = views.gap.points[1][:, 0].mean() - views.gap.points[0][:, 0].mean()
    return (
        "Scatter plot of the gap vector and the first principal component orthogonal to it. Along"
        f" the gap vector, the means of the modalities are {apart:.2f} apart."
    )


def _pca_caption(views: Views) -> str:
    if views.pca is None or len(views.names) == 1:
        return (
            "The first two principal components. Clusters are groups of similar items. Points far "
            "from all others may be errors in the data."
        )
    if len(views.names) > 2:
        return (
            "The first two principal components of all modalities together. Separate clouds mean"
            " that the modalities have gaps. Clouds that overlap here may have a gap in other"
            " directions."
        )
    return (
        "The first two principal components of both modalities together: the directions of largest"
        f" variance. {_lines(views)} Two separate clouds with parallel lines mean that the gap is"
        " one common offset. Clouds that overlap here do not mean that there is no gap: the"
        " variance along it may be smaller than along these components."
    )


def _pca_alt(views: Views) -> str:
    if views.pca is None or views.pca.shares is None:
        return ""
    start = "Scatter plot in the first two principal components, which explain "
    start += f"{views.pca.shares[0]:.0%} and {views.pca.shares[1]:.0%} of the variance."
    if len(views.names) != 2:
        return start
    apart = views.pca.points[1][:, 0].mean() - views.pca.points[0][:, 0].mean()
    return f"{start} Along the first, the means of the modalities are {abs(apart):.2f} apart."


def _top_caption(_views: Views) -> str:
    return (
        "The same items in the two dimensions whose means differ most. If a straight line "
        "separates the two clouds, these dimensions mostly encode the modality."
    )


def _top_alt(views: Views) -> str:
    if views.top is None:
        return ""
    a, b = (points.mean(0) for points in views.top.points)
    return (
        f"Scatter plot of {views.top.labels[0]} and {views.top.labels[1]}. The means are "
        f"({a[0]:.2f}, {a[1]:.2f}) for {plural(views.names[0])} and ({b[0]:.2f}, {b[1]:.2f}) for "
        f"{plural(views.names[1])}."
    )


gap = Picture(
    name="gap",
    title="Along and across the gap",
    applies=lambda views: views.gap is not None,
    draw=_draw_gap,
    caption=_gap_caption,
    alt=_gap_alt,
)
pca = Picture(
    name="pca",
    title="First two principal components",
    applies=lambda views: views.pca is not None,
    draw=_draw_pca,
    caption=_pca_caption,
    alt=_pca_alt,
)
top_dimensions = Picture(
    name="top-dimensions",
    title="The two dimensions whose means differ most",
    applies=lambda views: views.top is not None,
    draw=_draw_top,
    caption=_top_caption,
    alt=_top_alt,
)
