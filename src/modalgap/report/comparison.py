"""The page of a comparison: a heat map of closers against tasks, and curves behind it."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalgap.advise.comparison import BASE, Comparison, Entry, label
from modalgap.atomic import check_target, replacing
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.errors import InputError
from modalgap.evaluate.registry import TASKS
from modalgap.modality import plural
from modalgap.report.draw.base import HEIGHT, SMALL, WIDTH, apart, axes
from modalgap.report.palette import DARK, LIGHT, STAND_IN, Palette, style
from modalgap.report.svg import inline

if TYPE_CHECKING:
    from jinja2 import Template

MOST = 5  # curves in one picture
FULL = 0.25  # a difference that is shown in the strongest colour


def comparison_page(
    result: Comparison, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> Path:
    """Write a comparison as one HTML file that needs nothing else.

    Args:
        result: what ``modalgap.compare`` answered.
        path: of the HTML file.
        title: of the page.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: a file that is there already, or cannot be written.
    """
    if not isinstance(result, Comparison):
        raise InputError(f"result: must be a Comparison; got {type(result).__name__}")
    target = Path(path)
    check_target(target, overwrite=overwrite)
    page = render(result, title=title)
    with replacing(target, overwrite=overwrite) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return target


def render(result: Comparison, *, title: str | None = None) -> str:
    """The page as text."""
    from markupsafe import Markup

    drawings = []
    for name, head, caption, draw in (
        ("shift", "Accuracy against the gap", _SHIFT, _shift),
        ("noise", "Accuracy under noise", _NOISE, _noise),
        ("bins", "Accuracy on few levels", _BINS, _bins),
    ):
        with style(name):
            figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
            said = draw(figure, result, STAND_IN)
        if said:
            svg = Markup(inline(figure, name, f"{head}. {said}"))  # noqa: S704 - our own drawing
            drawings.append((head, svg, caption))
    sheet = resources.files("modalgap.report").joinpath("style.css").read_text("utf-8")
    split = result.split
    return _template().render(
        title=title or "Ways of closing the gap, compared",
        subtitle=(
            f"Fitted on {result.sizes[0]} and what matches them, judged on the other"
            f" {result.sizes[1]}"
        ),
        css=Markup(sheet),  # noqa: S704 - our own file
        light=LIGHT.css(),
        dark=DARK.css(),
        best=_best(result),
        heads=_heads(result),
        rows=[_row(entry, result) for entry in result.entries.values()],
        failed=result.failed,
        drawings=drawings,
        split=split,
        sizes=result.sizes,
        bootstrapped=plural(split["modalities"][0]),
        json=result.to_json(),
        version=result.versions.get("modalgap", ""),
    )


def _heads(result: Comparison) -> list[tuple[str, list[str]]]:
    """Tasks with their columns."""
    found: dict[str, list[str]] = {}
    for column in result.columns:
        task = column.partition(".")[0]
        found.setdefault(TASKS[task].card.title, []).append(label(column))
    return list(found.items())


def _row(entry: Entry, result: Comparison) -> dict[str, Any]:
    method = entry.name.partition(":")[0]
    card = (CLOSERS.get(method) or CORRECTIONS[method]).card
    cells: list[dict[str, Any] | None] = []
    for column in result.columns:
        value = entry.values.get(column)
        if value is None:
            cells.append(None)
            continue
        apart_ = entry.differences.get(column)
        verdict = entry.verdict(column)
        cells.append(
            {
                "value": f"{value.value:.3f}",
                "difference": "" if apart_ is None else f"{apart_.value:+.3f}",
                "interval": ""
                if apart_ is None or apart_.interval is None
                else f"{apart_.interval[0]:+.3f} … {apart_.interval[1]:+.3f}",
                "verdict": verdict,
                "strength": 0
                if apart_ is None or verdict == "same"
                else round(15 + 45 * min(abs(apart_.value) / FULL, 1)),
            }
        )
    return {
        "name": entry.name,
        "idea": card.idea,
        "transductive": entry.transductive,
        "gap": entry.gap.get("l2m"),
        "cells": cells,
    }


def _best(result: Comparison) -> list[tuple[str, str]]:
    """For each task the way that helps most, on the mean of its numbers, and harms none."""
    found = []
    for task in dict.fromkeys(column.partition(".")[0] for column in result.columns):
        columns = [name for name in result.columns if name.partition(".")[0] == task]
        base = result[BASE]
        top, most = None, 1e-3
        for entry in result.entries.values():
            verdicts = [entry.verdict(column) for column in columns]
            if entry.transductive or "better" not in verdicts or "worse" in verdicts:
                continue
            signs = [1 if base.better[column] == "higher" else -1 for column in columns]
            gains = [
                sign * entry.differences[column].value
                for sign, column in zip(signs, columns, strict=True)
                if column in entry.differences
            ]
            gain = sum(gains) / len(gains)
            if gain > most + 1e-3:
                top, most = entry, gain
        if top is None:
            said = "leave it: nothing is better on one number without being worse on another."
        else:
            said = f"{top.name}: " + ", ".join(
                f"{label(column)} {base.values[column].value:.3f} → {top.values[column].value:.3f}"
                for column in columns
                if column in top.values
            )
        found.append((TASKS[task].card.title, f"{said.rstrip('.')}."))
    return found


_SHIFT = (
    "Both sides are moved along the line between their means, from a wider gap (right) to none and"
    " beyond. Look at where the curve falls: raw shifts lose accuracy well before the gap is"
    " closed; the projected shift spares the rankings of the side that is retrieved."
)
_NOISE = (
    "Gaussian noise of growing size on both sides. A curve that stays up longer has its content"
    " farther above the noise."
)
_BINS = "Stored numbers rounded to so many levels over their whole range; fewer to the left."


def _shift(figure: Figure, result: Comparison, palette: Palette) -> str:
    curves = {
        name: [point for point in points if point.get("l2m") is not None]
        for name, points in result.curves.items()
    }
    curves = {name: points for name, points in curves.items() if len(points) > 1}
    if not curves:
        return ""
    first = next(iter(curves.values()))[0]
    number = next((name for name in first if name not in ("alpha", "l2m", "failed")), "")
    if not number:
        return ""
    found = axes(figure, palette, title=label(number), xlabel="distance between means", left=0.1)
    said = []
    colours = {"shift": palette.text, "project": palette.image}
    words = {"shift": "raw shift", "project": "projected"}
    for name, points in curves.items():
        points = sorted(points, key=lambda point: point["alpha"])
        x, y = [point["l2m"] for point in points], [point[number] for point in points]
        found.plot(x, y, color=colours[name], linewidth=1.4, marker="o", markersize=3.5)
        at = max(range(len(points)), key=lambda i: points[i]["alpha"])
        found.annotate(
            words[name], (x[at], y[at]), xytext=(4, 6), textcoords="offset points",
            fontsize=SMALL, color=colours[name],
        )  # fmt: skip
        said.append(f"{words[name]} from {y[0]:.3f} at {x[0]:.2f} to {y[-1]:.3f} at {x[-1]:.2f}")
    start = next(p for p in next(iter(curves.values())) if p["alpha"] == 0)
    found.axvline(start["l2m"], color=palette.ink, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0)
    found.set_ylim(0, None)
    found.margins(x=0.08)
    return "; ".join(said)


def _noise(figure: Figure, result: Comparison, palette: Palette) -> str:
    return _curves(figure, result, palette, "gaussian", "σ of the noise", log=True)


def _bins(figure: Figure, result: Comparison, palette: Palette) -> str:
    return _curves(figure, result, palette, "bins", "levels", log=True)


def _curves(
    figure: Figure, result: Comparison, palette: Palette, kind: str, xlabel: str, *, log: bool
) -> str:
    """Accuracy of a few ways against the size of a perturbation."""
    prefix, suffix = f"robustness.{kind}_", "_accuracy"
    at = sorted(
        float(name[len(prefix) : -len(suffix)])
        for name in result[BASE].values
        if name.startswith(prefix) and name.endswith(suffix)
    )
    if len(at) < 2:
        return ""
    names = {x: f"{prefix}{x:g}{suffix}" for x in at}
    middle = names[at[len(at) // 2]]
    maps = [
        entry for entry in result.entries.values()
        if not entry.transductive and middle in entry.values and entry.name != BASE
    ]  # fmt: skip
    maps.sort(key=lambda entry: -entry.values[middle].value)
    chosen = [result[BASE], *maps[: MOST - 1]]
    found: Axes = axes(
        figure, palette, title="share of right answers", xlabel=xlabel, left=0.1, right=0.66
    )
    ends, said = [], []
    colours = (palette.ink, *palette.ramp)
    for entry, colour in zip(chosen, colours, strict=False):
        y = [entry.values[names[x]].value for x in at]
        dash: Any = (0, (3, 2)) if entry.name == BASE else "solid"
        found.plot(at, y, color=colour, linewidth=1.4, marker="o", markersize=3, linestyle=dash)
        ends.append(y[-1])
        said.append(f"{entry.name} {y[0]:.3f} at {at[0]:g}, {y[-1]:.3f} at {at[-1]:g}")
    if log:
        found.set_xscale("log")
        found.set_xticks(at, [f"{x:g}" for x in at])
        found.minorticks_off()
    found.set_ylim(0, None)
    room = found.get_ylim()[1]
    ends = [max(end, 0.08 * room) for end in ends]  # above the ticks
    for entry, place, colour in zip(chosen, apart(ends, 0.06 * room), colours, strict=False):
        found.annotate(
            entry.name.replace(":retrieved=", ", "), (at[-1], place), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=SMALL, color=colour,
            annotation_clip=False,
        )  # fmt: skip
    return "; ".join(said)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files("modalgap.report")
    return environment.from_string(folder.joinpath("comparison.html.j2").read_text("utf-8"))
