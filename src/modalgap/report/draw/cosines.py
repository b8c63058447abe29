"""Cosines of matched and unmatched pairs, across and inside the modalities, one ridge each."""

from __future__ import annotations

from matplotlib.figure import Figure

from modalgap.modality import legible
from modalgap.report.draw.base import Picture
from modalgap.report.draw.ridges import Ridge, draw_ridges
from modalgap.report.palette import Palette
from modalgap.views import Views


def _label(kind: str, names: tuple[str, ...]) -> str:
    first, last = legible(names[0], 12), legible(names[-1], 12)
    if kind in ("matched", "unmatched"):
        return f"{kind} {first}–{last}"
    return f"{first}–{first}" if kind == f"{names[0]}–{names[0]}" else f"{last}–{last}"


def _draw(figure: Figure, views: Views, palette: Palette) -> None:
    if views.cosines is None:
        return
    cosines = views.cosines
    colours = {
        "matched": "matched",
        "unmatched": "unmatched",
        **dict(zip((f"{name}–{name}" for name in views.names), ("image", "text"), strict=False)),
    }
    ridges = [
        Ridge(
            label=_label(kind, views.names),
            edges=cosines.edges,
            counts=counts,
            mean=cosines.means[kind],
            colour=colours[kind],
        )
        for kind, counts in cosines.shares.items()
    ]
    draw_ridges(figure, palette, ridges, xlabel="cosine similarity")


def _caption(views: Views) -> str:
    if len(views.names) == 1:
        return (
            "Cosines of all distinct pairs in the sample; each bar is a fraction of the pairs. If "
            "they are around 0, the items use all directions. If they are far above 0, the items "
            "lie in a narrow cone."
        )
    return (
        "Each histogram is scaled to its own height. Dashed lines are means. Retrieval works if "
        "matched pairs are to the right of unmatched pairs. If both are to the left of pairs "
        "within one modality, there is a gap, and one threshold cannot be used across and within "
        "modalities."
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
