"""The contrastive loss against the gap, at several temperatures."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from modalgap.report.draw.base import SMALL, Picture, apart, axes
from modalgap.report.palette import Palette, ramp_names
from modalgap.views import Views


def _draw(figure: Figure, views: Views, palette: Palette) -> None:
    if views.landscape is None:
        return
    land = views.landscape
    found = axes(
        figure,
        palette,
        title="InfoNCE loss",
        left=0.1,
        right=0.855,
        xlabel="distance between means (negative: order reversed)",
    )
    order = np.argsort(land.gaps)
    gaps, losses = land.gaps[order], land.losses[:, order]
    # up to guessing, log(batch), and to every curve at the present gap; beyond is of no interest
    present = losses[:, np.abs(gaps - land.present).argmin()]
    high = min(float(losses.max()), 1.15 * max(land.chance, float(present.max())))
    low = float(losses.min())
    room = max(high - low, 1e-3)
    found.set_ylim(low - 0.06 * room, high + 0.14 * room)
    found.axvline(0, color=palette.grid, linewidth=0.8, zorder=0)
    found.axvline(land.present, color=palette.ink, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    found.annotate(
        f"present gap {land.present:.2f}",
        (land.present, high + 0.14 * room),
        xytext=(-4, -2),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=SMALL,
        color=palette.ink,
    )
    ends = []
    for curve, name in zip(losses, ramp_names(len(losses)), strict=True):
        colour = getattr(palette, name)
        found.plot(gaps, curve, color=colour, linewidth=1.3, zorder=2)
        best = int(curve.argmin())
        found.plot(
            gaps[best],
            curve[best],
            marker="o",
            markersize=4.5,
            markeredgewidth=0,
            color=colour,
            zorder=3,
        )
        ends.append(min(float(curve[-1]), high))
    places = apart(ends, 0.052 * room * 1.2)
    for scale, place in zip(land.scales, places, strict=True):
        first = place == max(places)
        found.annotate(
            f"1/τ = {scale:g}" if first else f"{scale:g}",
            (gaps[-1], place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=palette.ink,
            annotation_clip=False,
        )


def _caption(_views: Views) -> str:
    return (
        "Both modalities are shifted along the line between their means; a negative distance means "
        "that they are shifted past each other. There is one curve per temperature; a dot marks "
        "its minimum. The dashed line is the present gap. If the dot is on the line, the loss at "
        "this temperature is lowest at the present gap. If the dot is to the left, the loss is "
        "lowest at a smaller gap."
    )


def _alt(views: Views) -> str:
    if views.landscape is None:
        return ""
    land = views.landscape
    lowest = land.losses.argmin(1)
    told = ", ".join(
        f"{abs(land.gaps[at]):.2f} at 1/τ = {scale:g}"
        for scale, at in zip(land.scales, lowest, strict=True)
    )
    return (
        f"Curves of InfoNCE loss against the distance between means. The present distance is "
        f"{land.present:.2f}. The loss is lowest at {told}."
    )


landscape = Picture(
    name="landscape",
    title="Is the loss lowest at this gap?",
    applies=lambda views: views.landscape is not None,
    draw=_draw,
    caption=_caption,
    alt=_alt,
)
