"""The figures for a paper: fixed colours, on white, as PNG, SVG or PDF."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from modalgap.arguments import checked, described
from modalgap.atomic import check_target, made_folder, replacing
from modalgap.embeddings import Embeddings, Modalities, Pair, is_of
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import InputError, OptionError, OutputError, quoted
from modalgap.report.draw import PICTURES
from modalgap.report.palette import LIGHT, style
from modalgap.report.svg import NO_METADATA
from modalgap.result import Result
from modalgap.views import Views, views

DPI = 300
FORMATS = {
    "png": {"Software": None},
    "svg": NO_METADATA,
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@takes_pair
def figures(data: Pair | Embeddings, result: Result, *, seed: int = 0) -> dict[str, Figure]:
    """Draw every picture that applies.

    Args:
        data: the data that were measured.
        result: the result of ``modalgap.measure``.
        seed: seed of the sample that is drawn.

    Returns:
        A mapping of names to matplotlib figures, in the order of the report.

    Raises:
        InputError: the result is of other data.
    """
    check_result(result, data)
    return draw_all(views(data, result, seed))


def check_result(result: Result, data: Pair | Embeddings | Modalities) -> None:
    """Refuse the result of other data."""
    if not is_of(result.pair.get("fingerprint"), data):
        raise InputError("result: must be of this data; its fingerprint is another")


def draw_all(shown: Views) -> dict[str, Figure]:
    """Every picture that applies, in the colours of a paper."""
    return {
        name: picture.drawing(shown).figure()
        for name, picture in PICTURES.items()
        if picture.applies(shown)
    }


@checked
def save_figures(
    figures: Mapping[str, Figure],
    folder: str | Path,
    formats: Sequence[str] = ("svg",),
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write figures as ``folder/name.format``; the folder is created if it does not exist.

    Args:
        figures: maps a name to a figure.
        folder: the folder to write to.
        formats: one or more of "png", "svg", "pdf".
        overwrite: replace existing files.

    Returns:
        The paths of the files.

    Raises:
        OptionError: an unknown format.
        OutputError: a file exists, or cannot be written; none is written then.
    """
    for name, figure in figures.items():
        if not isinstance(figure, Figure):
            raise InputError(f"figures: {quoted(name)} must be a figure; got {described(figure)}")
    targets = plan(figures, folder, formats, overwrite)
    with made_folder(Path(folder)):
        for (name, suffix), target in targets.items():
            with replacing(target, overwrite=overwrite) as file:
                file.write(_render(figures[name], name, suffix))
    return list(targets.values())


def plan(
    names: Mapping[str, object], folder: str | Path, formats: Sequence[str], overwrite: bool
) -> dict[tuple[str, str], Path]:
    """The path of each figure, after checking that all of them can be written."""
    chosen = [formats] if isinstance(formats, str) else list(dict.fromkeys(formats))
    for suffix in chosen:
        if suffix not in FORMATS:
            raise OptionError.unknown("figure format", str(suffix), FORMATS)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: must be a folder, for the figures; found a file")
    targets = {(name, suffix): folder / f"{name}.{suffix}" for name in names for suffix in chosen}
    if folder.exists():
        for target in targets.values():
            check_target(target, overwrite=overwrite)
    return targets


def _render(figure: Figure, name: str, suffix: str) -> bytes:
    buffer = io.BytesIO()
    with style(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            buffer, format=suffix, dpi=DPI, facecolor=LIGHT.paper, metadata=FORMATS[suffix]
        )
    return buffer.getvalue()
