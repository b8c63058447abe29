"""Pages: sections as one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from modalgap.atomic import check_target, replacing
from modalgap.errors import OutputError
from modalgap.report.palette import DARK, LIGHT
from modalgap.report.sections import Section
from modalgap.tabular import number
from modalgap.text import readable

if TYPE_CHECKING:
    from jinja2 import Template

PAGES = (".html", ".htm")


def render_page(
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str,
    version: str = "",
    wide: bool = False,
) -> str:
    """The page as text; the same for the same arguments.

    Args:
        sections: in order.
        title: heading of the page.
        subtitle: text below it.
        version: of modalgap, for the footer.
        wide: whether tables may be wider than text.
    """
    from markupsafe import Markup

    return template("modalgap.report").render(
        title=title,
        subtitle=subtitle,
        css=Markup(file_of("modalgap.report", "style.css")),  # noqa: S704 - our own file
        light=LIGHT.css(),
        dark=DARK.css(),
        sections=sections,
        version=version,
        wide=wide,
    )


def check_page(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check that the path can become a page; to be called before work that takes long.

    Raises:
        OutputError: another extension than .html, or an error of ``check_target``.
    """
    target = Path(path)
    if target.suffix.lower() not in PAGES:
        raise OutputError(f"{target}: must end in .html; found {target.suffix or 'no extension'}")
    check_target(target, overwrite=overwrite)
    return target


def write_page(text: str, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a page.

    Raises:
        OutputError: as for ``check_page``, or the file cannot be written.
    """
    target = check_page(path, overwrite=overwrite)
    with replacing(target, overwrite=overwrite) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return target


@cache
def template(package: str) -> Template:
    """The template ``page.html.j2`` of a package."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda each: readable(each) if type(each) is str else each,  # no Markup
    )
    environment.filters["number"] = number
    return environment.from_string(file_of(package, "page.html.j2"))


@cache
def file_of(package: str, name: str) -> str:
    """The text of a file of a package."""
    return resources.files(package).joinpath(name).read_text("utf-8")
