"""The page of all studies: each with its figure, its verdicts, and a link to its own page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modalgap.report.page import render_page, write_page
from modalgap.report.palette import DARK, LIGHT, Palette, style
from modalgap.report.sections import (
    Block,
    Facts,
    Pictures,
    Reasons,
    Section,
    Shown,
    Text,
    verdict_blocks,
)
from modalgap.report.tables import table_figure
from modalgap.result import versions
from modalgap.study.keeping import PAGE
from modalgap.study.outcome import FAILED, NEEDS, Outcome
from modalgap.verdicts import ABOUT, DIFFERS, state, summary

if TYPE_CHECKING:
    from markupsafe import Markup

INDEX = "index.html"
WIDTH = 1000  # pixels of a figure on the page
DPI = 110
FIGURE = (
    '<a href="{}"><picture>'
    '<source media="screen and (prefers-color-scheme: dark)" srcset="data:image/png;base64,{}">'
    '<img style="max-width: 100%" alt="{}" src="data:image/png;base64,{}"></picture></a>'
)
LINK = '<a href="{}">{}</a>'


def write_index(found: Sequence[Outcome], folder: Path) -> Path:
    """Write ``index.html``.

    Args:
        found: the outcome of each study, in order.
        folder: the folder of the studies.

    Raises:
        OutputError: it cannot be written.
    """
    done = [each for each in found if each.table is not None]
    verdicts = [verdict for each in found for verdict in each.verdicts]
    blocks: list[Block] = [
        Text(
            paragraphs=[
                f"{len(done)} of {len(found)} studies finished.",
                *(f"{line}." for line in summary(verdicts)),
                ABOUT,
            ]
        ),
        Facts(facts=[(each.study.name, _state(each)) for each in found]),
    ]
    for status, head in ((FAILED, "Studies that failed"), (NEEDS, "Studies that need data")):
        reasons = [(each.study.name, each.reason) for each in found if each.status == status]
        if reasons:
            blocks.append(Reasons(head=head, reasons=reasons))
    sections = [Section(head="Summary", blocks=blocks)]
    sections += [_section(each, folder) for each in done]
    differing = [
        {**verdict, "where": f"{each.study.name}: {verdict['where']}"}
        for each in done
        for verdict in each.verdicts
        if state(verdict) == DIFFERS
    ]
    if differing:
        sections.append(Section(head="Results that differ", blocks=verdict_blocks(differing)))
    page = render_page(
        sections,
        title="All studies",
        subtitle="Figures and tables of papers, computed again.",
        version=versions()["modalgap"],
    )
    return write_page(page, folder / INDEX, overwrite=True)


def _state(outcome: Outcome) -> str:
    if outcome.status == NEEDS:
        return NEEDS
    if outcome.table is None:
        return f"failed after {outcome.seconds:.0f} seconds"
    if not outcome.verdicts:
        return f"nothing to compare with; {outcome.seconds:.0f} seconds"
    return "; ".join([*summary(outcome.verdicts), f"{outcome.seconds:.0f} seconds"])


def _section(outcome: Outcome, folder: Path) -> Section:
    study = outcome.study
    card = study.card
    words = [card.question or card.idea, f"Source: {card.source}. Results: {_state(outcome)}."]
    shown = [Shown("", each, "") for each in _pictures(outcome, folder)]
    blocks: list[Block] = [Text(paragraphs=words), Pictures(pictures=shown, columns=1)]
    return Section(head=card.title, blocks=blocks, id=f"study-{study.name}")


def _pictures(outcome: Outcome, folder: Path) -> list[Markup]:
    """The figure, if there is one, and the link; both open the page of the study."""
    from markupsafe import Markup

    study = outcome.study
    page = f"{study.name}/{PAGE}"
    made = [Markup(LINK).format(page, f"{study.name}: numbers, verdicts and data")]  # noqa: S704
    light, dark = (_png(outcome, folder / study.name, palette) for palette in (LIGHT, DARK))
    if light and dark:
        figure = Markup(FIGURE).format(page, dark, study.card.title, light)  # noqa: S704
        made.insert(0, figure)
    return made


def _png(outcome: Outcome, folder: Path, palette: Palette) -> str:
    """The figure in base64, of ``WIDTH`` pixels at most so that the page stays small; or ""."""
    from PIL import Image

    if outcome.table is None:
        return ""
    figure = table_figure(outcome.table, outcome.study.parts, folder, palette)
    if figure is None:
        return ""
    with style(outcome.study.name), io.BytesIO() as buffer:
        dpi = min(DPI, WIDTH / figure.get_figwidth())
        figure.savefig(buffer, dpi=dpi, facecolor=palette.paper)
        few = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    with io.BytesIO() as buffer:
        few.save(buffer, "PNG", optimize=True)
        return base64.b64encode(buffer.getvalue()).decode()
