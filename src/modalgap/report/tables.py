"""Pages and figures of a table: panels, numbers, and a comparison with published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from modalgap.panels import Image, Panel, Part
from modalgap.report.draw.base import side_by_side
from modalgap.report.draw.panels import Source, drawing
from modalgap.report.page import render_page, write_page
from modalgap.report.palette import LIGHT, Palette
from modalgap.report.sections import (
    Block,
    Commands,
    Json,
    Numbers,
    Pictures,
    Section,
    Shown,
    Text,
    shown,
    shown_file,
    verdict_blocks,
)
from modalgap.result import Table

VERDICTS = "Published results, and checks of our implementation"


def table_page(
    table: Table,
    parts: Sequence[Part],
    path: str | Path,
    *,
    title: str,
    subtitle: str = "",
    folder: str | Path | None = None,
    real: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write the page of a table.

    Args:
        table: the numbers.
        parts: what the page shows before the table.
        path: the HTML file.
        title: heading of the page.
        subtitle: text below it.
        folder: folder of the files that panels name.
        real: commands that compute the table from the data of the paper.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or it cannot be written.
        FileError: a file that a panel names is missing or damaged.
    """
    source = Source(table, None if folder is None else Path(folder))
    sections = [_section(part, source, f"p{at}") for at, part in enumerate(parts)]
    if table.verdicts:
        sections.append(Section(head=VERDICTS, blocks=verdict_blocks(table.verdicts)))
    sections.append(Section(head="The numbers", blocks=[Numbers(table=table)]))
    if real:
        sections.append(Section(head="With the data of the paper", blocks=[Commands(lines=real)]))
    notes = [f"Source: {table.source}.", *table.notes]
    origin: list[Block] = [
        Text(paragraphs=notes, muted=True),
        Json(label="The result as JSON", text=table.to_json()),
    ]
    sections.append(Section(head="How it was computed", id="origin", blocks=origin))
    version = table.versions.get("modalgap", "")
    page = render_page(sections, title=title, subtitle=subtitle, version=version)
    return write_page(page, path, overwrite=overwrite)


def table_figure(
    table: Table,
    parts: Sequence[Part],
    folder: str | Path | None = None,
    palette: Palette = LIGHT,
) -> Figure | None:
    """The panels of a table in one figure for a paper; None without any."""
    source = Source(table, None if folder is None else Path(folder))
    panels = [panel for part in parts for panel in part.panels if panel.in_figure]
    drawn = [drawing(panel, source, f"panel{at}") for at, panel in enumerate(panels)]
    found = [each for each in drawn if each is not None]
    return side_by_side(found, palette) if found else None


def _section(part: Part, source: Source, name: str) -> Section:
    words = [each if isinstance(each, str) else each(source.table) for each in part.words]
    pictures = [
        picture
        for at, panel in enumerate(part.panels)
        if (picture := _picture(panel, source, f"{name}-{at}")) is not None
    ]
    blocks: list[Block] = []
    if any(words):
        blocks.append(Text(paragraphs=[each for each in words if each]))
    if pictures:
        blocks.append(Pictures(pictures=pictures, columns=part.columns))
    return Section(head=part.head, blocks=blocks)


def _picture(panel: Panel, source: Source, name: str) -> Shown | None:
    if isinstance(panel, Image):
        folder = source.folder or Path()
        return shown_file(folder / panel.file, panel.title, panel.caption, panel.alt)
    found = drawing(panel, source, name)
    return None if found is None else shown(found)
