"""The files of a study: reads a finished result; writes the table, the figure and the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.atomic import replacing
from modalgap.card import Card
from modalgap.embeddings.store import load
from modalgap.errors import FileError, InputError, NotApplicable, OutputError, quoted
from modalgap.panels import Part
from modalgap.result import Table
from modalgap.trace import points
from modalgap.work import changes

FILE, CSV, MARKDOWN, PAGE = "study.json", "table.csv", "table.md", "report.html"
CURVES = "curves.csv"  # points of traced numbers, if there are any
FORMATS = ("png", "svg")  # of the figure


def finished_table(
    name: str,
    folder: Path,
    settings: Mapping[str, Any],
    needed: Sequence[str],
    *,
    overwrite: bool,
) -> Table | None:
    """The finished table with these settings; None if there is none.

    Args:
        name: of the study.
        folder: folder of the study.
        settings: all settings of the plan.
        needed: files that panels read. If one is missing or damaged, nothing is reused.
        overwrite: ignore a table with other settings instead of raising an error.

    Raises:
        InputError: the folder has a result with other settings; the message names them.
        FileError: ``study.json`` is damaged.
        OutputError: the folder has the result of another study.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = Table.from_dict(json.loads(path.read_text(encoding="utf-8")))
        _curves(found)  # its points are whole
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        NotApplicable,
    ) as error:
        raise FileError(f"{path}: is damaged; remove it to compute the study again") from error
    if found.name != name:
        raise OutputError(
            f"{folder}: has the result of the study {quoted(found.name)}; choose another folder"
        )
    other = changes(found.settings, json.loads(json.dumps(settings)))
    if other and not overwrite:
        raise InputError(
            f"{folder}: has a finished result with other settings ({'; '.join(other)}); choose"
            " another folder, or replace it with --force or overwrite=True"
        )
    whole = not other and all(_whole(folder / name) for name in needed)
    return found if whole else None


def write_files(
    table: Table, card: Card, parts: Sequence[Part], folder: Path, real: Sequence[str] = ()
) -> None:
    """Write all files of a table.

    They are written each time, also for a reused table, so that no file is out of date.

    Raises:
        OutputError: a file cannot be written.
    """
    from modalgap.report.export import save_figures
    from modalgap.report.tables import table_figure, table_page

    for name, text in (
        (FILE, table.to_json()),
        (CSV, table.to_csv()),
        (MARKDOWN, table.to_markdown()),
        *((CURVES, text) for text in [_curves(table)] if text),
    ):
        with replacing(folder / name, overwrite=True) as file:
            file.write(text.encode())
    figure = table_figure(table, parts, folder)
    if figure is not None:
        save_figures({card.name: figure}, folder, FORMATS, overwrite=True)
    table_page(
        table,
        parts,
        folder / PAGE,
        title=card.title,
        subtitle=card.question or card.idea,
        folder=folder,
        real=real,
        overwrite=True,
    )


def _curves(table: Table) -> str:
    """Every traced number of a table as rows of x and y; "" if there is none."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    for row, values in table.rows.items():
        for name, value in values.items():
            xs, ys = points(value)
            lines.writerows([row, name, x, y] for x, y in zip(xs, ys, strict=True))
    found = text.getvalue()
    return f"{table.vary},column,x,y\n{found}" if found else ""


def _whole(path: Path) -> bool:
    """Whether a file that a panel reads exists and can be read."""
    if not path.is_file() or path.suffix == ".png":
        return path.is_file()
    try:
        load(path)
    except FileError:
        return False
    return True
