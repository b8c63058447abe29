"""The figure of inversion: cosine against steps, and retrieval at those steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from modalgap.report.draw.base import HEIGHT, SMALL, WIDTH
from modalgap.report.palette import LIGHT, STAND_IN, Palette, style
from modalgap.report.sections import Drawn, Section, drawn, write_page
from modalgap.report.study import panel
from modalgap.result import Table

NATIVE = "native"
APART = 2.5  # a labelled step over the one before it
PANELS: Sequence[tuple[str, Mapping[str, str]]] = (
    ("Cosine with the feature that is inverted", {"cosine": "cosine"}),
    ("Retrieval", {"map": "mAP", "r1": "R@1"}),
)


def curve_figure(table: Table) -> Figure:
    """Both panels beside one another, in the colours of a paper."""
    with style("curve"):
        figure = Figure(figsize=(6.8, 2.7), facecolor="none")
        for i, (head, names) in enumerate(PANELS):
            _draw(figure, (i / 2 + 0.055, 0.18, 0.33, 0.66), table, names, LIGHT, head)
    return figure


def curve_page(
    table: Table, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> Path:
    """Write the page of a curve.

    Args:
        table: what ``modalgap.invert.curve`` answered.
        path: of the HTML file.
        title: of the page.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: a file that is there already, or cannot be written.
    """
    pictures: list[Drawn] = []
    for i, (head, names) in enumerate(PANELS):
        with style(f"curve{i}"):
            figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
            said = _draw(figure, (0.11, 0.14, 0.72, 0.8), table, names, STAND_IN)
        lines = "Bars: 95 % intervals; dotted: the native queries." if i else ""
        pictures.append(drawn(figure, f"curve{i}", head, lines, f"{head}. {said}"))
    words = [
        "Vectors go on approaching the feature that they invert; whether retrieval within the"
        " modality goes on improving is another question.",
        best_step(table),
    ]
    return write_page(
        path,
        table,
        [
            Section(head="Step by step", words=words, pictures=pictures),
            Section(head="The numbers", table=table),
        ],
        title=title or table.name,
        subtitle=str(table.settings.get("model", "")),
        overwrite=overwrite,
    )


def best_step(table: Table) -> str:
    """Which step searches best, in words."""
    steps = {row: values["map"].value for row, values in table.rows.items() if row != NATIVE}
    best = max(steps, key=lambda row: steps[row])
    native = table.rows[NATIVE]["map"].value
    last = list(steps)[-1]
    ends = table.rows[best]["map"].interval, table.rows[last]["map"].interval
    tie = ends[0] and ends[1] and ends[0][0] <= ends[1][1] and best != last
    return (
        f"Here mAP is highest at step {best}: {steps[best]:.3f}; at the last, {last}, it is"
        f" {steps[last]:.3f}; of the native queries it is {native:.3f}."
        + (" The intervals of these two steps overlap." if tie else "")
        + " A step chosen on the queries that it is judged on looks better than it is."
    )


def _draw(
    figure: Figure,
    box: tuple[float, float, float, float],
    table: Table,
    names: Mapping[str, str],
    palette: Palette,
    head: str = "",
) -> str:
    found = figure.add_axes(box)
    there = {name: words for name, words in names.items() if name in table.heads}
    rows = {row: values for row, values in table.rows.items() if row != NATIVE}
    found.set_xscale("symlog", linthresh=1)
    said = panel(found, replace(table, rows=rows), there, palette, "step")
    steps = [int(row) for row in rows]
    shown: list[int] = []
    for step in reversed(steps):  # from the last down, those whose labels stand apart
        if not shown or APART * step <= shown[-1]:
            shown.append(step)
    found.set_xticks(shown, [f"{step:,}" for step in shown])
    found.minorticks_off()
    low = min(value[name].interval[0] if value[name].interval else value[name].value  # type: ignore[index]
              for value in rows.values() for name in there)  # fmt: skip
    colours = [line.get_color() for line in found.lines if line.get_marker() == "o"]
    if NATIVE in table.rows:
        for name, colour in zip(there, colours, strict=True):
            if name in table.rows[NATIVE]:
                level = table.rows[NATIVE][name].value
                low = min(low, level)
                found.axhline(level, color=colour, linewidth=0.9, linestyle=":")
                said += f"; {there[name]} of native queries {level:.3f}"
    found.set_ylim(max(-1, low - 0.05), None)
    if head:
        found.set_title(head, loc="left", fontsize=SMALL + 2, color=palette.ink, pad=10)
    return said
