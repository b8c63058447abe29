"""The page and the figure of a study: its numbers as curves, and its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalgap.report.draw.base import HEIGHT, SMALL, WIDTH, apart, dress
from modalgap.report.palette import LIGHT, STAND_IN, Palette, style
from modalgap.report.sections import Drawn, Section, drawn, write_page
from modalgap.result import Table

# panels: title, and the numbers drawn in it with their words
Panels = Sequence[tuple[str, Mapping[str, str]]]
IMBALANCE: Panels = (
    ("The gap", {"rmg": "RMG", "l2m": "l2m"}),
    ("Object bias (MOAD)", {"moad_image": "images", "moad_text": "texts"}),
    ("Accuracy", {"accuracy_object": "digit", "accuracy_attributes": "attributes"}),
)
XLABEL = "attributes in the caption"
SAID = (
    "Each model reads captions that name the digit and so many of five attributes; all else is"
    " alike. In the paper, captions that leave more of the image out come with a wider gap and a"
    " space sorted by object rather than by attribute. Without attributes the captions are class"
    " labels, which is another regime."
)


def study_page(
    table: Table, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> Path:
    """Write the page of the study of imbalance.

    Args:
        table: what ``modalgap.study.imbalance`` answered.
        path: of the HTML file.
        title: of the page.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: a file that is there already, or cannot be written.
    """
    pictures: list[Drawn] = []
    for i, (head, names) in enumerate(_there(table)):
        with style(f"panel{i}"):
            figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
            said = panel(figure.add_axes((0.11, 0.14, 0.66, 0.8)), table, names, STAND_IN)
        pictures.append(
            drawn(figure, f"panel{i}", head, "Bars: 95 % intervals.", f"{head}. {said}")
        )
    return write_page(
        path,
        table,
        [
            Section(head="What captions leave out", words=[SAID, _found(table)], pictures=pictures),
            Section(head="The numbers", table=table),
        ],
        title=title or "Information imbalance, gap and object bias",
        subtitle=f"{len(table.rows)} models trained on MAD",
        overwrite=overwrite,
    )


def _found(table: Table) -> str:
    """What these models show, in words."""
    told = []
    for name, head in (("rmg", "RMG"), ("moad_image", "MOAD of images"), ("moad_text", "of texts")):
        values = [row[name].value for at, row in table.rows.items() if at != "0" and name in row]
        if len(values) > 1:
            falls = all(a > b for a, b in pairwise(values))
            way = "falls with each step" if falls else "does not fall with each step"
            told.append(f"{head} {way} ({values[0]:.3f} to {values[-1]:.3f})")
    return f"Here, from the fewest attributes to the most: {', '.join(told)}." if told else ""


def study_figure(table: Table) -> Figure:
    """All panels beside one another, in the colours of a paper."""
    panels = _there(table)
    with style("study"):
        figure = Figure(figsize=(3.3 * len(panels), 2.7), facecolor="none")
        each = 1 / len(panels)
        for i, (head, names) in enumerate(panels):
            found = figure.add_axes((i * each + 0.11 * each, 0.18, 0.6 * each, 0.66))
            panel(found, table, names, LIGHT)
            found.set_title(head, loc="left", fontsize=SMALL + 2, color=LIGHT.ink, pad=10)
    return figure


def _there(table: Table) -> Panels:
    found = []
    for head, names in IMBALANCE:
        some = {name: said for name, said in names.items() if name in table.heads}
        if some:
            found.append((head, some))
    return found


def panel(
    found: Axes,
    table: Table,
    names: Mapping[str, str],
    palette: Palette,
    xlabel: str = XLABEL,
) -> str:
    """Curves of numbers over the rows of a table, with intervals; what they show, in words."""
    dress(found, palette)
    every = list(table.rows)
    place = float if all(_is_number(row) for row in every) else every.index
    ends, labels, said = [], [], []
    plain = iter((palette.ink, palette.matched))
    own = {"_image": palette.image, "_text": palette.text}
    for name, words in names.items():
        side = next((end for end in own if name.endswith(end)), "")
        colour = own[side] if side else next(plain)
        rows = [(place(row), values[name]) for row, values in table.rows.items() if name in values]
        x, y = [at for at, _ in rows], [value.value for _, value in rows]
        found.plot(x, y, color=colour, linewidth=1.4, marker="o", markersize=3.5)
        for at, value in rows:
            if value.interval is not None:
                found.plot([at, at], value.interval, color=colour, linewidth=1.0, alpha=0.7)
        ends.append(y[-1])
        labels.append((words, x[-1], colour))
        said.append(
            f"{words}: " + ", ".join(f"{v:.3f} at {a:g}" for a, v in zip(x, y, strict=True))
        )
    found.set_ylim(min(0, found.get_ylim()[0]), None)
    found.set_xticks([place(row) for row in table.rows])
    found.set_xlabel(xlabel, fontsize=SMALL, color=palette.muted)
    low, high = found.get_ylim()
    for (words, last, colour), level in zip(labels, apart(ends, 0.09 * (high - low)), strict=True):
        found.annotate(
            words, (last, level), xytext=(7, 0), textcoords="offset points", va="center",
            fontsize=SMALL, color=colour, annotation_clip=False,
        )  # fmt: skip
    return "; ".join(said)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
