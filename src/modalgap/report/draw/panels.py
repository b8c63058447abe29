"""Panels of a table as drawings: each kind of panel takes its numbers from the table or a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.embeddings import Pair
from modalgap.embeddings.store import load
from modalgap.errors import FileError
from modalgap.panels import Bars, Clouds, Curves, Histogram, Panel, Reference, Scatter
from modalgap.report.draw.bars import BarSeries, draw_bars
from modalgap.report.draw.base import Drawing
from modalgap.report.draw.clouds import scatter
from modalgap.report.draw.colours import MOST, coloured, colours, short
from modalgap.report.draw.lines import Line, draw_lines
from modalgap.report.draw.points import Points, draw_points
from modalgap.report.draw.ridges import Ridge, draw_ridges
from modalgap.report.palette import Palette
from modalgap.result import Table, Value
from modalgap.trace import points
from modalgap.views import along_gap, components

BARS = 18  # in a drawing of the usual height


@dataclass(frozen=True)
class Source:
    """Where panels take their numbers from: a table, and the folder of its files."""

    table: Table
    folder: Path | None = None

    def pair(self, name: str) -> Pair:
        """The pair in a file of the folder.

        Raises:
            FileError: there is no such file, or it has no pair.
        """
        found = None if self.folder is None else load(self.folder / name)
        if not isinstance(found, Pair):
            raise FileError(f"{name}: must be a file of pairs in the folder of the table")
        return found


def drawing(panel: Panel, source: Source, name: str) -> Drawing | None:
    """The drawing of a panel; None where the table has none of its columns.

    Args:
        panel: any kind but an image.
        source: its numbers.
        name: prefix of ids, different for each drawing of a page.
    """
    draw = DRAW[type(panel)](panel, source)
    if draw is None:
        return None
    return Drawing(
        name=name,
        title=panel.title,
        caption=panel.caption,
        draw=draw,
        scale=_scale(draw),
    )


Draw = Callable[[Any, Palette], str]


def _scale(draw: Draw) -> float:
    """Many bars need more height."""
    if not isinstance(draw, partial) or draw.func is not draw_bars:
        return 1.0
    bars = len(draw.keywords["rows"]) * len(draw.keywords["series"])
    return max(1.0, bars / BARS)


def _curves(panel: Curves, source: Source) -> Draw | None:
    table = source.table
    rows = {
        row: values
        for row, values in table.rows.items()
        if row != panel.level and panel.match in row
    }
    names: list[str] = []
    labels = short(rows, panel.match)
    if panel.trace:
        lines = [_traced(labels[row], values.get(panel.trace)) for row, values in rows.items()]
    elif panel.across:
        lines = [
            _line(
                labels[row],
                [(x, values.get(name)) for name, x in panel.across.items()],
            )
            for row, values in rows.items()
        ]
    elif panel.group:
        lines = _grouped(panel, rows)
    else:
        if not panel.x and not all(map(_number, rows)):
            names = list(rows)
        place = dict(zip(rows, map(float, range(len(rows))) if names else _places(panel, rows),
                         strict=True))  # fmt: skip
        level = table.rows.get(panel.level, {})
        lines = [
            _line(
                label if len(panel.ys) > 1 else "",
                [(place[row], values.get(name)) for row, values in rows.items()],
                level.get(name),
            )
            for name, label in panel.ys.items()
        ]
    lines = [line for line in lines if line.x]
    if not lines:
        return None
    keys = list(panel.ys) if len(panel.ys) == len(lines) else []
    if panel.dashed:
        lines = [
            replace(line, dashed=panel.dashed in (key or line.label))
            for line, key in zip(lines, keys or [""] * len(lines), strict=True)
        ]
    return partial(
        draw_lines,
        lines=coloured(lines, keys, panel.dashed),
        xlabel=panel.xlabel or table.vary,
        ylabel=panel.ylabel,
        log=panel.log,
        zero=panel.zero,
        limits=panel.limits,
        names=names,
        references=_placed(panel, source),
    )


def _places(panel: Curves, rows: Mapping[str, Mapping[str, Value]]) -> list[float]:
    if not panel.x:
        return [float(row) for row in rows]
    return [values[panel.x].value if panel.x in values else math.nan for values in rows.values()]


def _grouped(panel: Curves, rows: Mapping[str, Mapping[str, Value]]) -> list[Line]:
    """One line for each value of the column ``group``."""
    (name, label), *_ = panel.ys.items()
    groups: dict[float, list[tuple[float, Value | None]]] = {}
    for values, x in zip(rows.values(), _places(panel, rows), strict=True):
        if panel.group in values:
            groups.setdefault(values[panel.group].value, []).append((x, values.get(name)))
    return [_line(f"{label} {value:g}", each) for value, each in groups.items()]


def _line(
    label: str, along: Sequence[tuple[float, Value | None]], level: Value | None = None
) -> Line:
    kept = [(x, value) for x, value in along if value is not None and math.isfinite(x)]
    return Line(
        label=label,
        x=[x for x, _ in kept],
        y=[value.value for _, value in kept],
        intervals=[value.interval for _, value in kept],
        level=None if level is None else level.value,
    )


def _traced(label: str, value: Value | None) -> Line:
    x, y = points(value)
    return Line(label=label, x=x, y=y)


def _bars(panel: Bars, source: Source) -> Draw | None:
    rows = [
        row
        for row, values in source.table.rows.items()
        if panel.match in row and any(name in values for name in panel.ys)
    ]
    columns = {
        name: label
        for name, label in panel.ys.items()
        if any(name in source.table.rows[row] for row in rows)
    }
    if not columns:
        return None
    series = [
        BarSeries(
            label=label, values=[source.table.rows[row].get(name) for row in rows], colour=colour
        )
        for (name, label), colour in zip(
            columns.items(), colours([""] * len(columns), list(columns)), strict=True
        )
    ]
    named = list(short(rows, panel.match).values())
    return partial(
        draw_bars, rows=named, series=series, xlabel=panel.xlabel, references=_placed(panel, source)
    )


def _scatter(panel: Scatter, source: Source) -> Draw | None:
    heads = source.table.heads
    if panel.trace:
        return _swarms(panel, source)
    groups: dict[float | None, list[tuple[str, float, float]]] = {}
    for row, values in source.table.rows.items():
        if panel.match not in row or panel.x not in values or panel.y not in values:
            continue
        if not panel.group or panel.group in values:
            group = values[panel.group].value if panel.group else None
            point = (row, values[panel.x].value, values[panel.y].value)
            groups.setdefault(group, []).append(point)
    if not groups:
        return None
    title = heads.get(panel.group, panel.group)
    drawn = [
        Points(
            label="" if group is None else f"{title} = {group:g}",
            x=[x for _, x, _ in found],
            y=[y for _, _, y in found],
            names=[name for name, _, _ in found] if panel.named else (),
            colour=colour,
        )
        for (group, found), colour in zip(
            groups.items(), colours([f"= {group}" for group in groups]), strict=True
        )
    ]
    return partial(
        draw_points,
        groups=drawn,
        xlabel=panel.xlabel or heads.get(panel.x, panel.x),
        ylabel=panel.ylabel or heads.get(panel.y, panel.y),
        log=panel.log,
        references=_placed(panel, source),
    )


def _swarms(panel: Scatter, source: Source) -> Draw | None:
    """One cloud of points for each row; many clouds have no labels."""
    found = {row: points(values.get(panel.trace)) for row, values in source.table.rows.items()
             if panel.match in row}  # fmt: skip
    found = {row: each for row, each in found.items() if each[0]}
    if not found:
        return None
    labels = short(found, panel.match)
    drawn = [
        Points(
            label=labels[row] if len(found) <= len(MOST) else "",
            x=x,
            y=y,
            colour=colour,
        )
        for (row, (x, y)), colour in zip(found.items(), colours(list(found)), strict=True)
    ]
    return partial(
        draw_points,
        groups=drawn,
        xlabel=panel.xlabel,
        ylabel=panel.ylabel,
        log=panel.log,
        references=_placed(panel, source),
    )


def _histogram(panel: Histogram, source: Source) -> Draw | None:
    found = {
        row: values[panel.column]
        for row, values in source.table.rows.items()
        if panel.match in row and "edges" in getattr(values.get(panel.column), "details", {})
    }
    if not found:
        return None
    labels = short(found, panel.match)
    ridges = [
        Ridge(
            label=labels[row],
            edges=np.array(value.details["edges"], dtype=np.float64),
            counts=np.array(value.details["counts"], dtype=np.float64),
            mean=value.value,
            colour=colour,
        )
        for (row, value), colour in zip(found.items(), colours(list(found)), strict=True)
    ]
    title = panel.xlabel or source.table.heads.get(panel.column, panel.column)
    return partial(draw_ridges, ridges=ridges, xlabel=title)


def _clouds(panel: Clouds, source: Source) -> Draw:
    pair = source.pair(panel.file)
    before = pair if panel.along in ("", panel.file) else source.pair(panel.along)
    plane = components(pair) if panel.components else along_gap(pair, before)
    axis = "first component" if panel.components else "gap"

    def draw(figure: Any, palette: Palette) -> str:
        found = scatter(figure, plane, [side.modality for side in pair.sides], palette)
        if panel.limits is not None:
            found.set_xlim(-panel.limits[0], panel.limits[0])
            found.set_ylim(-panel.limits[1], panel.limits[1])
        distance = plane.points[1][:, 0].mean() - plane.points[0][:, 0].mean()
        return f"Along the {axis}, the means of the two modalities are {distance:.2f} apart."

    return draw


def _placed(panel: Curves | Bars | Scatter, source: Source) -> list[Reference]:
    """The reference lines at numbers; without those whose column no row of the panel has."""
    found = []
    for line in panel.references:
        places = [line.at] if not isinstance(line.at, str) else [
            values[line.at].value
            for row, values in source.table.rows.items()
            if panel.match in row and line.at in values
        ]  # fmt: skip
        found += [replace(line, at=place) for place in places[:1]]
    return found


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


DRAW: dict[type[Panel], Callable[[Any, Source], Draw | None]] = {
    Curves: _curves,
    Bars: _bars,
    Scatter: _scatter,
    Histogram: _histogram,
    Clouds: _clouds,
}
