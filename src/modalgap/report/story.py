"""The page of the demo: where a gap comes from, and what closing it does, on digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from modalgap import linalg
from modalgap.checks import sample
from modalgap.embeddings import Pair
from modalgap.report.draw.base import HEIGHT, SMALL, WIDTH, apart, axes
from modalgap.report.draw.clouds import scatter
from modalgap.report.palette import LIGHT, STAND_IN, Palette, style
from modalgap.report.sections import Drawn, Section, drawn, shown, write_page
from modalgap.result import Table
from modalgap.views import LINES, POINTS, Plane

NOISE = "noise_"
REACH, ALONG = 1.05, 0.75  # of the axes, across and along the gap
CLOUDS = {
    "short": "Short captions",
    "full": "Full captions",
    "closed": "Short captions, centred",
}


def story_page(
    table: Table,
    pairs: Mapping[str, Pair],
    sheet: Any,
    path: str | Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the page.

    Args:
        table: of ``modalgap.study.story``: rows for short captions, full captions, and closed.
        pairs: "short", "full" and "closed".
        sheet: (h, w, 3) all looks of one digit.
        path: of the HTML file.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: a file that is there already, or cannot be written.
    """
    short, full, closed = table.rows.values()
    clouds = {name: _clouds(pairs, name) for name in CLOUDS}
    return write_page(
        path,
        table,
        [
            Section(
                head="The data",
                words=[
                    "Handwritten digits, each in 24 shapes and 7 colours. One caption names the"
                    " digit and some of its five attributes: “three-red-thick”. How much of"
                    " the image a caption leaves out is the one thing that changes below."
                ],
                pictures=[
                    shown(sheet, "", "Every look of one digit: shapes across, colours down."
                          if sheet.shape[1] > sheet.shape[0]
                          else "Every look of one digit: colours across, shapes down.",
                          "168 small pictures of one handwritten digit.")
                ],
            ),
            Section(
                head="What captions leave out opens the gap",
                words=[
                    "Two models of the same size, trained alike from the same start. One read the"
                    " digit and one attribute, the other the digit and all five.",
                    _compared(short, full),
                ],
                pictures=[clouds["short"], clouds["full"]],
            ),
            Section(
                head="Closing it afterwards",
                words=[_closing(short, closed)],
                pictures=[clouds["closed"], _noise(table)],
            ),
            Section(head="The numbers", table=table),
        ],
        title="Where a modality gap comes from",
        subtitle="Two small models trained on this machine, measured on digits they never saw",
        columns=2,
        overwrite=overwrite,
    )  # fmt: skip


def story_figure(pairs: Mapping[str, Pair]) -> Figure:
    """Both models' clouds beside one another, in the colours of a paper."""
    with style("story"):
        figure = Figure(figsize=(2 * WIDTH, HEIGHT + 0.4), facecolor="none")
        halves: Any = figure.subfigures(1, 2)
        for part, name in zip(halves, ("short", "full"), strict=True):
            part.set_facecolor("none")
            _draw(part, _plane(pairs[name], pairs[name]), pairs[name], LIGHT)
            part.axes[0].set_position((0.125, 0.14, 0.86, 0.7))
            part.text(0.125, 0.985, CLOUDS[name], va="top", fontsize=SMALL + 3, color=LIGHT.ink)
    return figure


def _plane(pair: Pair, before: Pair) -> Plane:
    """Items along the gap of ``before``, and in the first principal component across it."""
    sides = [side.take(sample(side.n, POINTS, 0)).double() for side in pair.sides]
    means = [side.unit().double().mean(0) for side in before.sides]
    along = functional.normalize(means[1] - means[0], dim=0)
    middle = torch.cat(sides).mean(0)
    across = torch.cat(sides) - middle
    across = across - (across @ along)[:, None] * along
    first = linalg.svd(across, full=False)[2][0]
    first = first * first[first.abs().argmax()].sign()
    points = tuple(
        torch.stack([(side - middle) @ along, (side - middle) @ first], 1).numpy() for side in sides
    )
    lines = np.stack([points[0][:LINES], points[1][:LINES]], 1)
    return Plane(points, lines, ("along the gap", "first component across the gap"))


def _draw(figure: Any, plane: Plane, pair: Pair, palette: Palette) -> None:
    found = scatter(figure, plane, [side.modality for side in pair.sides], palette)
    found.set_aspect("auto")
    found.set_ylim(-REACH, REACH)  # the same for all, so that gaps can be compared
    found.set_xlim(-ALONG, ALONG)


def _clouds(pairs: Mapping[str, Pair], name: str) -> Drawn:
    plane = _plane(pairs[name], pairs["short" if name == "closed" else name])
    with style(name):
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
        _draw(figure, plane, pairs[name], STAND_IN)
    apart_ = plane.points[1][:, 0].mean() - plane.points[0][:, 0].mean()
    alt = f"{CLOUDS[name]}: along the gap, texts lie {apart_:.2f} from images."
    caption = (
        "Images and texts along the line between their means, and in the component that varies"
        " most across it; thin lines join pairs."
    )
    return drawn(figure, name, CLOUDS[name], caption, alt)


def _compared(short: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    wider = short["rmg"].value > full["rmg"].value
    more = short["moad_image"].value > full["moad_image"].value
    return (
        f"The relative modality gap is {short['rmg'].value:.2f} with short captions and"
        f" {full['rmg'].value:.2f} with full ones"
        f"{': what is left out opens the gap' if wider else ', against the expectation'}."
        f" Object bias, how much more the images are sorted by digit than by attribute, is"
        f" {short['moad_image'].value:.2f} against {full['moad_image'].value:.2f}"
        f"{'' if more else ', against the expectation'}. Digits are named right in"
        f" {short['accuracy_object'].value:.1%} of the looks with short captions and in"
        f" {full['accuracy_object'].value:.1%} with full ones: in the same number of steps the"
        " latter has four attributes more to learn."
    )


def _closing(short: Mapping[str, Any], closed: Mapping[str, Any]) -> str:
    def change(name: str) -> str:
        return f"{short[name].value:.2f} to {closed[name].value:.2f}"

    before, after = short["accuracy_object"].value, closed["accuracy_object"].value
    noise = max(name for name in short if name.startswith(NOISE))
    return (
        f"Subtracting each modality's mean, found on the same looks, takes the distance between"
        f" the means from {change('l2m')}. The relative gap goes from {change('rmg')} and the"
        f" cosine of a match from {change('matched_cosine')}: what is left of them is no shift."
        f" Digits are named right in {after:.1%} of the looks, {before:.1%} before; under noise of"
        f" {noise.removeprefix(NOISE)} in {closed[noise].value:.1%}, before in"
        f" {short[noise].value:.1%}."
    )


def _noise(table: Table) -> Drawn:
    head = "Answers under noise"
    with style("noise"):
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
        said = _noise_curves(figure, table, STAND_IN)
    caption = "Share of digits named right when Gaussian noise falls on images and prompts."
    return drawn(figure, "noise", head, caption, f"{head}. {said}")


def _noise_curves(figure: Figure, table: Table, palette: Palette) -> str:
    found = axes(figure, palette, title="digit accuracy", xlabel="σ of the noise", right=0.66)
    sigmas = [name for name in table.heads if name.startswith(NOISE)]
    at = [0.0, *(float(name.removeprefix(NOISE)) for name in sigmas)]
    colours = (palette.ink, palette.unmatched, palette.matched)
    ends, said = [], []
    for (row, values), colour in zip(table.rows.items(), colours, strict=False):
        y = [values[name].value for name in ("accuracy_object", *sigmas)]
        found.plot(at, y, color=colour, linewidth=1.4, marker="o", markersize=3.5)
        ends.append(y[-1])
        said.append(f"{row}: {y[0]:.3f} without, {y[-1]:.3f} at {at[-1]:g}")
    found.set_ylim(0, 1)
    found.set_xticks(at, [f"{each:g}" for each in at])
    for row, place, colour in zip(table.rows, apart(ends, 0.07), colours, strict=False):
        found.annotate(
            row, (at[-1], place), xytext=(7, 0), textcoords="offset points", va="center",
            fontsize=SMALL, color=colour, annotation_clip=False,
        )  # fmt: skip
    return "; ".join(said)
