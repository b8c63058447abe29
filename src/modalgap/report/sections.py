"""A page of sections: words, pictures, a table; what studies and the demo are shown with."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from modalgap.atomic import check_target, replacing
from modalgap.report.palette import DARK, LIGHT
from modalgap.report.svg import inline
from modalgap.result import Table

if TYPE_CHECKING:
    from jinja2 import Template

Drawn = tuple[str, str, str]  # head, markup, caption


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        head: its heading.
        words: paragraphs.
        pictures: what ``drawn`` and ``shown`` give.
        table: shown below them, or None.
    """

    head: str
    words: Sequence[str] = ()
    pictures: Sequence[Drawn] = ()
    table: Table | None = None


def drawn(figure: Figure, name: str, head: str, caption: str, alt: str) -> Drawn:
    """A figure in stand-in colours as a picture of the page."""
    from markupsafe import Markup

    return head, Markup(inline(figure, name, alt)), caption  # noqa: S704 - our own drawing


def shown(pixels: Any, head: str, caption: str, alt: str) -> Drawn:
    """Pixels (h, w, 3) as a picture of the page, without loss."""
    from markupsafe import Markup

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = Markup('<img alt="{}" src="data:image/png;base64,{}">').format(alt, data)
    return head, image, caption


def write_page(
    path: str | Path,
    table: Table,
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str,
    columns: int = 3,
    overwrite: bool = False,
) -> Path:
    """Write the page as one HTML file that needs nothing else.

    Args:
        path: of the file.
        table: whose notes, versions and JSON end the page.
        sections: in order.
        title: at its head.
        subtitle: below it.
        columns: pictures beside one another on a wide screen.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: a file that is there already, or cannot be written.
    """
    from markupsafe import Markup

    target = Path(path)
    check_target(target, overwrite=overwrite)
    sheet = resources.files("modalgap.report").joinpath("style.css").read_text("utf-8")
    page = _template().render(
        title=title,
        subtitle=subtitle,
        css=Markup(sheet),  # noqa: S704 - our own file
        light=LIGHT.css(),
        dark=DARK.css(),
        columns=columns,
        sections=sections,
        notes=[f"After {table.source}.", *table.notes],
        json=table.to_json(),
        version=table.versions.get("modalgap", ""),
    )
    with replacing(target, overwrite=overwrite) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return target


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files("modalgap.report")
    return environment.from_string(folder.joinpath("sections.html.j2").read_text("utf-8"))
