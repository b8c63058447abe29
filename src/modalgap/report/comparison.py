"""The page of a comparison: a heat map of closers against tasks, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from modalgap.advise.comparison import BASE, Comparison, Entry, label
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.errors import InputError
from modalgap.evaluate.registry import TASKS
from modalgap.modality import plural
from modalgap.panels import Reference
from modalgap.report.draw.base import Drawing
from modalgap.report.draw.lines import Line, draw_lines
from modalgap.report.page import check_page, render_page, write_page
from modalgap.report.palette import ramp_names
from modalgap.report.sections import (
    Block,
    Heat,
    Json,
    Pictures,
    Reasons,
    Section,
    Text,
    Topics,
    shown,
)

MOST = 5  # curves in one picture
FULL = 0.25  # a difference that is shown in the strongest colour
BOARD = (
    "Below each number is its difference to no closing, on the same queries. A cell is coloured if"
    " the 95 % interval of the difference excludes zero. * marks a transductive closer: it uses the"
    " test rows, so its numbers are not comparable to those of a map."
)


def comparison_page(
    result: Comparison, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> Path:
    """Write a comparison as one HTML file that needs no other file.

    Args:
        result: the result of ``modalgap.compare``.
        path: the HTML file.
        title: heading of the page.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists, or cannot be written.
    """
    if not isinstance(result, Comparison):
        raise InputError(f"result: must be a Comparison; got {type(result).__name__}")
    check_page(path, overwrite=overwrite)
    return write_page(render(result, title=title), path, overwrite=overwrite)


def render(result: Comparison, *, title: str | None = None) -> str:
    """The page as text."""
    drawn = [each for each in (_shift(result), _noise(result), _bins(result)) if each is not None]
    board: list[Block] = [
        Text(paragraphs=[BOARD], muted=True),
        Heat(
            corner=("method", "remaining gap (l2m)"),
            heads=_heads(result),
            rows=[_row(entry, result) for entry in result.entries.values()],
        ),
    ]
    if result.failed:
        board.append(Reasons(head="Not evaluated", reasons=list(result.failed.items())))
    best = [(task, [said]) for task, said in _best(result)]
    sections = [
        Section(head="Best method for each task", id="words", blocks=[Topics(topics=best)]),
        Section(head="All methods and tasks", id="board", blocks=board),
    ]
    if drawn:
        pictures = Pictures(pictures=[shown(each) for each in drawn], columns=3)
        sections.append(Section(head="Curves", id="pictures", blocks=[pictures]))
    split, sizes = result.split, result.sizes
    origin = (
        f"The split has seed {split['seed']}: {sizes[0]} to fit, {sizes[1]} and {sizes[2]} to test."
        f" Intervals: paired bootstrap over {plural(split['modalities'][0])}."
    )
    blocks = [
        Text(paragraphs=[origin], muted=True),
        Json(label="The comparison as JSON", text=result.to_json()),
    ]
    sections.append(Section(head="How it was computed", id="origin", blocks=blocks))
    return render_page(
        sections,
        title=title or "Comparison of closers",
        subtitle=(f"Fitted on {sizes[0]} and their matches, tested on the other {sizes[1]}"),
        version=result.versions.get("modalgap", ""),
        wide=True,
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
    """For each task, the map with the largest mean gain that does not make any number worse."""
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
            said = "no closing. No map improves one number without making another one worse."
        else:
            said = f"{top.name}: " + ", ".join(
                f"{label(column)} {base.values[column].value:.3f} → {top.values[column].value:.3f}"
                for column in columns
                if column in top.values
            )
        found.append((TASKS[task].card.title, f"{said.rstrip('.')}."))
    return found


def _shift(result: Comparison) -> Drawing | None:
    """Accuracy against the gap, while both sides are moved along the line between their means."""
    curves = {
        name: sorted(
            (point for point in points if point.get("l2m") is not None),
            key=lambda point: point["alpha"],
        )
        for name, points in result.curves.items()
    }
    curves = {name: points for name, points in curves.items() if len(points) > 1}
    first = next(iter(curves.values()), [{}])[0]
    number = next((name for name in first if name not in ("alpha", "l2m", "failed")), "")
    if not number:
        return None
    styles = {"shift": ("raw shift", "text"), "project": ("projected", "image")}
    lines = [
        Line(
            label=styles[name][0],
            x=[point["l2m"] for point in points],
            y=[point[number] for point in points],
            colour=styles[name][1],
        )
        for name, points in curves.items()
    ]
    start = next(point for point in next(iter(curves.values())) if point["alpha"] == 0)
    draw = partial(
        draw_lines,
        lines=lines,
        xlabel="distance between means",
        ylabel=label(number),
        references=[Reference(at=start["l2m"], axis="x")],
    )
    caption = (
        "Both modalities are shifted along the line between their means, from a larger gap (right) "
        "to no gap and further. The dashed line is the present gap. A raw shift can lower accuracy "
        "before the gap is closed. The projected shift preserves the rankings of the retrieved "
        "modality."
    )
    return Drawing(name="shift", title="Accuracy against the gap", caption=caption, draw=draw)


def _noise(result: Comparison) -> Drawing | None:
    caption = (
        "Gaussian noise of increasing size is added to both modalities. The later a curve falls,"
        " the more robust are the embeddings."
    )
    title = "Accuracy under noise"
    return _curves(result, "noise", "gaussian", title, caption, "σ of the noise")


def _bins(result: Comparison) -> Drawing | None:
    caption = "Values are rounded to equal levels over their range; fewer levels to the left."
    return _curves(result, "bins", "bins", "Accuracy after rounding", caption, "levels")


def _curves(
    result: Comparison, name: str, kind: str, title: str, caption: str, xlabel: str
) -> Drawing | None:
    """Accuracy of the best methods against the size of a perturbation."""
    prefix, suffix = f"robustness.{kind}_", "_accuracy"
    at = sorted(
        float(column[len(prefix) : -len(suffix)])
        for column in result[BASE].values
        if column.startswith(prefix) and column.endswith(suffix)
    )
    if len(at) < 2:
        return None
    columns = [f"{prefix}{x:g}{suffix}" for x in at]
    draw = partial(
        draw_lines,
        lines=[_line(entry, at, columns, colour) for entry, colour in _best_of(result, columns)],
        xlabel=xlabel,
        ylabel="accuracy",
        log="x",
    )
    return Drawing(name=name, title=title, caption=caption, draw=draw)


def _best_of(result: Comparison, columns: Sequence[str]) -> list[tuple[Entry, str]]:
    """No closing and the best maps, with their colours."""
    middle = columns[len(columns) // 2]
    maps = [
        entry for entry in result.entries.values()
        if not entry.transductive and middle in entry.values and entry.name != BASE
    ]  # fmt: skip
    maps.sort(key=lambda entry: -entry.values[middle].value)
    colours = ("ink", *ramp_names(MOST - 1))
    return list(zip([result[BASE], *maps[: MOST - 1]], colours, strict=False))


def _line(entry: Entry, at: Sequence[float], columns: Sequence[str], colour: str) -> Line:
    values: Mapping[str, Any] = entry.values
    return Line(
        label=entry.name.replace(":retrieved=", ", "),
        x=at,
        y=[values[column].value for column in columns],
        colour=colour,
        dashed=entry.name == BASE,
    )
