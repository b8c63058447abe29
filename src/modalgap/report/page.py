"""The verb: measure, draw, say, and write one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modalgap.atomic import check_target, replacing
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import InputError, OptionError
from modalgap.measure.names import modalities
from modalgap.measure.verb import measure
from modalgap.modality import plural
from modalgap.report import export, table
from modalgap.report.draw import PICTURES
from modalgap.report.palette import DARK, LIGHT, STAND_IN, style
from modalgap.report.svg import inline
from modalgap.report.words import summary
from modalgap.result import Result
from modalgap.views import Views, views

if TYPE_CHECKING:
    from jinja2 import Template


@takes_pair
def report(
    data: Pair | Embeddings,
    /,
    path: str | Path,
    *,
    result: Result | None = None,
    title: str | None = None,
    figures: str | Path | None = None,
    formats: Sequence[str] = ("svg",),
    overwrite: bool = False,
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a report of the modality gap as one HTML file that needs nothing else.

    Args:
        data: what to report on; of one modality alone, only what applies. Two arrays are a pair:
            ``modalgap.report(x, y, "report.html")``.
        path: of the HTML file.
        result: what ``modalgap.measure(data)`` answered; measured here if not given.
        title: of the page.
        figures: a folder to write the pictures to as well.
        formats: of those pictures: "png", "svg", "pdf".
        overwrite: replace files that are there already.
        seed: of the sample behind the pictures, and of measures that draw one.
        **options: of ``modalgap.measure``.

    Returns:
        The path written.

    Raises:
        OutputError: a file that is there already, or cannot be written; nothing is written then.
        OptionError: an unknown option, or options beside a result that is measured already.
        InputError: a result of other data.
    """
    target = Path(path)
    check_target(target, overwrite=overwrite)  # before work that takes long
    if figures is not None:
        export.plan(PICTURES, figures, formats, overwrite)
    if result is None:
        if "only" not in options:  # what is asked for alone may have no seed
            options["seed"] = seed
        result = measure(data, **options)
    elif options:
        raise OptionError(
            f"options are for measuring, and the result is given: {', '.join(options)}"
        )
    elif result.pair.get("fingerprint") != data.fingerprint:
        raise InputError("result: must be of this data; its fingerprint is another")
    shown = views(data, result, seed)
    page = render(result, shown, title=title, seed=seed)
    if figures is not None:
        export.save_figures(export.draw_all(shown), figures, formats, overwrite=overwrite)
    with replacing(target, overwrite=overwrite) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    return target


def render(result: Result, shown: Views, *, title: str | None = None, seed: int = 0) -> str:
    """The page as text; the same for the same arguments."""
    from markupsafe import Markup

    drawings = []
    for name, picture in PICTURES.items():
        if picture.applies(shown):
            with style(name):
                figure = picture.figure(shown, STAND_IN)
            svg = Markup(inline(figure, name, f"{picture.title}. {picture.alt(shown)}"))  # noqa: S704
            drawings.append((picture, svg, picture.caption(shown)))
    folder = resources.files("modalgap.report")
    sheet = folder.joinpath("style.css").read_text("utf-8")
    return _template().render(
        title=title or "Modality gap report",
        subtitle=_subtitle(result),
        css=Markup(sheet),  # noqa: S704 - our own file
        light=LIGHT.css(),
        dark=DARK.css(),
        summary=summary(result, shown),
        tiles=table.tiles(result),
        drawings=drawings,
        seed=seed,
        shown=shown,
        groups=table.groups(result),
        skipped=table.skipped(result),
        provenance=table.provenance(result.pair, result.versions),
        json=table.as_json(result),
        version=result.versions.get("modalgap", ""),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("modalgap.report").joinpath("template.html.j2").read_text("utf-8")
    return environment.from_string(source)


def _subtitle(result: Result) -> str:
    sides = " and ".join(
        f"{result.pair.get(f'n_{name}'):,} {plural(name)}" for name in modalities(result)
    )
    return f"{sides} in {result.pair.get('dim')} dimensions"
