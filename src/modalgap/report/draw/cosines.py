"""Cosines of matched and unmatched pairs, across and inside the modalities, one ridge each."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from modalgap.report.draw.base import SMALL, Picture, axes
from modalgap.report.palette import Palette
from modalgap.report.say import legible
from modalgap.report.views import Views

RIDGE = 0.86  # height of the tallest ridge; they stand 1 apart


def _label(kind: str, names: tuple[str, ...]) -> str:
    if kind in ("matched", "unmatched"):
        return f"{kind} {legible(names[0])}–{legible(names[-1])}"
    return kind


def _draw(figure: Figure, views: Views, palette: Palette) -> None:
    if views.cosines is None:
        return
    cosines = views.cosines
    found = axes(figure, palette, xlabel="cosine similarity")
    colours = [palette.matched, palette.unmatched, palette.image, palette.text]
    colours = colours if len(views.names) == 2 else [palette.image]
    kinds = list(cosines.shares)
    known = ["matched", "unmatched", *(f"{name}–{name}" for name in views.names)]
    colour_of = dict(zip(known if len(views.names) == 2 else kinds, colours, strict=True))
    span = cosines.edges[-1] - cosines.edges[0]
    for place, kind in enumerate(reversed(kinds)):
        shares, colour = cosines.shares[kind], colour_of[kind]
        height = shares / shares.max() * RIDGE
        outline = np.concatenate([[0.0], np.repeat(height, 2), [0.0]]) + place
        across = np.repeat(cosines.edges, 2)
        found.fill_between(across, outline, place, color=colour, alpha=0.28, linewidth=0)
        found.plot(across, outline, color=colour, linewidth=1.1)
        mean = cosines.means[kind]
        found.plot(
            [mean, mean], [place, place + RIDGE], color=colour, linewidth=1.1, ls=(0, (2, 2))
        )
        # the label on the side where the ridge leaves more room
        right = mean < (cosines.edges[0] + cosines.edges[-1]) / 2
        found.annotate(
            f"{_label(kind, views.names)}",
            (cosines.edges[-1] + 0.02 * span if right else cosines.edges[0] - 0.02 * span, place),
            xytext=(0, 21),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom",
            color=colour,
            fontweight="bold",
            fontsize=SMALL + 0.5,
        )
        found.annotate(
            f"mean {mean:.2f}".replace("-", "−"),
            (cosines.edges[-1] + 0.02 * span if right else cosines.edges[0] - 0.02 * span, place),
            xytext=(0, 10),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom",
            color=palette.muted,
            fontsize=SMALL,
        )
    found.set_yticks([])
    found.spines["left"].set_visible(False)
    found.set_ylim(-0.06, len(kinds))
    found.set_xlim(cosines.edges[0] - 0.03 * span, cosines.edges[-1] + 0.03 * span)
    found.grid(axis="x", color=palette.grid, linewidth=0.6)
    found.set_axisbelow(True)


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
    title="Cosines across and inside the modalities",
    applies=lambda views: views.cosines is not None and bool(views.cosines.shares),
    draw=_draw,
    caption=_caption,
    alt=_alt,
)
