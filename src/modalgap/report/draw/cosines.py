"""Cosines of matched and unmatched pairs, across and inside the modalities, one ridge each."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalgap.modality import legible
from modalgap.report.draw.base import SMALL, Picture, axes
from modalgap.report.palette import Palette
from modalgap.views import Views

RIDGE = 0.86  # height of the tallest ridge; they stand 1 apart


def _label(kind: str, names: tuple[str, ...]) -> str:
    first, last = legible(names[0], 12), legible(names[-1], 12)
    if kind in ("matched", "unmatched"):
        return f"{kind} {first}–{last}"
    return f"{first}–{first}" if kind == f"{names[0]}–{names[0]}" else f"{last}–{last}"


def _draw(figure: Figure, views: Views, palette: Palette) -> None:
    if views.cosines is None:
        return
    cosines = views.cosines
    found = axes(figure, palette, xlabel="cosine similarity", left=0.285)
    colours = {
        "matched": palette.matched,
        "unmatched": palette.unmatched,
        **{f"{name}–{name}": palette.modality(at) for at, name in enumerate(views.names)},
    }
    for place, kind in enumerate(reversed(cosines.shares)):
        colour, mean = colours[kind], cosines.means[kind]
        height = cosines.shares[kind] / cosines.shares[kind].max() * RIDGE
        across = np.repeat(cosines.edges, 2)
        outline = np.concatenate([[0.0], np.repeat(height, 2), [0.0]]) + place
        found.fill_between(across, outline, place, color=colour, alpha=0.28, linewidth=0)
        found.plot(across, outline, color=colour, linewidth=1.1)
        found.plot([mean, mean], [place, place + RIDGE], color=colour, lw=1.1, ls=(0, (2, 2)))
        _say(found, place, _label(kind, views.names).replace(" ", "\n"), mean, colour, palette)
    found.set_yticks([])
    found.spines["left"].set_visible(False)
    found.set_ylim(-0.06, len(cosines.shares) - 0.06)
    found.set_xlim(cosines.edges[0], cosines.edges[-1])
    found.grid(axis="x", color=palette.grid, linewidth=0.6)
    found.set_axisbelow(True)


def _say(found: Axes, place: int, label: str, mean: float, colour: str, palette: Palette) -> None:
    """Name and mean of a ridge, in a column of their own to its left."""
    for text, up, tone, weight in (
        (f"mean {mean:.2f}".replace("-", "−"), 2, palette.muted, "normal"),
        (label, 13, colour, "bold"),
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


def _caption(views: Views) -> str:
    if len(views.names) == 1:
        return (
            "Cosines of all distinct pairs in the sample; each bar is a share of them. Around 0 "
            "the items use all directions; far above 0 they lie in a narrow cone."
        )
    return (
        "Each ridge is scaled to its own height; dashed lines are means. Two things to look for: "
        "matched pairs to the right of unmatched ones (that is what retrieval lives on), and both "
        "of them to the left of pairs inside one modality (that is the gap: one threshold cannot "
        "serve both)."
    )


def _alt(views: Views) -> str:
    if views.cosines is None:
        return ""
    told = ", ".join(
        f"{_label(kind, views.names)} {mean:.2f}" for kind, mean in views.cosines.means.items()
    )
    return f"Histograms of cosine similarity. Means: {told}."


cosines = Picture(
    name="cosines",
    title="Cosine similarities",
    applies=lambda views: views.cosines is not None and bool(views.cosines.shares),
    draw=_draw,
    caption=_caption,
    alt=_alt,
)
