"""How much the means differ in each dimension, the largest first; the ten largest by number."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from modalgap.modality import legible, plural
from modalgap.report.draw.base import SMALL, Picture, axes, dress
from modalgap.report.palette import Palette
from modalgap.views import Views

TOP = 10
LEFT, BOTTOM = 0.36, 0.34  # corner of the inset, in shares of the axes


def _draw(figure: Figure, views: Views, palette: Palette) -> None:
    if views.profile is None:
        return
    sizes = np.abs(views.profile.differences)
    rank = np.arange(1, len(sizes) + 1)
    found = axes(
        figure,
        palette,
        title="difference of the means, absolute",
        xlabel=f"the {len(sizes)} dimensions, sorted",
    )
    found.fill_between(rank, sizes, step="mid", color=palette.muted, alpha=0.25, linewidth=0)
    found.step(rank, sizes, where="mid", color=palette.ink, linewidth=1.1)
    found.set_xlim(0.5, len(sizes) + 0.5)
    under = sizes[min(len(sizes) - 1, int(LEFT * len(sizes)))]
    # tall enough for the inset to hang clear of the curve
    found.set_ylim(0, max(float(sizes[0]) * 1.04, float(under) / (BOTTOM - 0.08), 1e-12))
    _inset(figure, views, palette)


def _inset(figure: Figure, views: Views, palette: Palette) -> None:
    if views.profile is None:
        return
    differences = views.profile.differences[:TOP]
    dimensions = views.profile.dimensions[:TOP]
    inset = figure.axes[0].inset_axes((LEFT + 0.1, BOTTOM, 0.86 - LEFT - 0.1, 0.9 - BOTTOM))
    dress(inset, palette)
    inset.spines[:].set_visible(False)
    place = np.arange(len(differences))
    colours = [palette.modality(0 if each > 0 else 1) for each in differences]
    inset.barh(place, np.abs(differences), height=0.72, color=colours)
    for at, each in zip(place, differences, strict=True):
        inset.annotate(
            f"{each:+.3f}".replace("-", "−"),
            (abs(each), at),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL - 1,
            color=palette.muted,
            annotation_clip=False,
        )
    inset.set_yticks(place, [str(each) for each in dimensions], color=palette.ink)
    inset.tick_params(axis="y", labelsize=SMALL - 0.5, labelcolor=palette.ink, pad=2)
    inset.set_xticks([])
    inset.invert_yaxis()
    first, second = (legible(plural(name), 12) for name in views.names)
    inset.set_title(
        f"the largest, by number: {first} − {second}",
        loc="right",
        fontsize=SMALL - 0.5,
        color=palette.muted,
        pad=4,
    )


def _caption(views: Views) -> str:
    first, second = (plural(name) for name in views.names)
    return (
        f"Blue bars: the {first} have the higher mean in that dimension; orange bars: the "
        f"{second}. If "
        "few bars on the left are much higher than the others, the gap is in few dimensions, which "
        "can be dropped. If the heights decrease slowly, the gap is spread over many dimensions. "
        "Dimensions are counted from 0."
    )


def _alt(views: Views) -> str:
    if views.profile is None:
        return ""
    told = ", ".join(
        f"{dimension} ({difference:+.3f})"
        for dimension, difference in zip(
            views.profile.dimensions[:3], views.profile.differences[:3], strict=True
        )
    )
    return f"Sorted absolute differences of the means. The largest are in dimensions {told}."


per_dimension = Picture(
    name="per-dimension",
    title="Difference in each dimension",
    applies=lambda views: views.profile is not None,
    draw=_draw,
    caption=_caption,
    alt=_alt,
)
