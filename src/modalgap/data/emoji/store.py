"""Make the data set: images as Parquet, in the layout of the Hugging Face hub.

The folder holds one Parquet file per split, ``README.md`` with authors and licences, and
``emoji.json``, which is written last: the version of the format, the settings and counts. A row of
a file is one image: ``image`` (PNG), captions at several levels of detail, and factors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from modalgap.atomic import replacing
from modalgap.checks import at_least, whole
from modalgap.data.emoji import names, svg
from modalgap.data.emoji.card import card
from modalgap.data.emoji.packages import Icon, Package, packages
from modalgap.data.emoji.rows import key_of, row_of, schema_of
from modalgap.data.emoji.things import SPLITS, TEST, TRAIN, Pictures, pictures
from modalgap.data.made import Place, blocks, check_workers, spans, stored
from modalgap.data.reading import load_json, reading
from modalgap.data.source import check_seed
from modalgap.errors import FileError, InputError, OptionError, quoted
from modalgap.work import Parts

MANIFEST, README = "emoji.json", "README.md"
FORMAT = 1
BLOCK = 256  # images per part
ROWS = 512  # rows per group of Parquet
PIXELS = "pixels"
HELD_OUT_STYLE = "fluent-emoji-flat"


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """A finished data set.

    Attributes:
        folder: its folder.
        settings: all settings that determine the content.
        splits: maps a split to its number of images.
        things: maps a number of styles to the number of things that exist in this number of styles.
        by_name: number of images whose thing was found by its name, not by code points.
        hidden: number of images that their packages hide, which are not in the data set.
        left_out: images that could not be drawn, with the reason.
    """

    folder: Path
    settings: Mapping[str, Any]
    splits: Mapping[str, int]
    things: Mapping[int, int]
    by_name: int
    hidden: int
    left_out: tuple[tuple[str, str], ...]


def file_of(split: str) -> str:
    """The name of the file of a split."""
    return f"{split}-00000-of-00001.parquet"


def build(
    source: str | Path,
    folder: str | Path,
    *,
    size: int = 64,
    styles: Sequence[str] | None = None,
    held_out: float = 0.2,
    held_out_style: str | None = None,
    languages: Sequence[str] = (),
    workers: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Emoji:
    """Draw the images of emoji packages and write them with their captions and factors.

    The content depends only on the packages and the settings. An existing folder with the same
    content is opened; an interrupted run resumes.

    Args:
        source: the folder of the packages; see ``packages``.
        folder: the folder to write.
        size: pixels per side of an image.
        styles: the styles to read; by default all that are there.
        held_out: fraction of the things to hold out.
        held_out_style: the style to hold out, or "none"; by default fluent-emoji-flat, if there
            are other styles too.
        languages: languages of further names, in columns ``caption_LANGUAGE``.
        workers: number of processes; by default one per processor.
        seed: selects the things to hold out.
        overwrite: whether to replace a data set with other settings in the folder.

    Raises:
        OptionError: an invalid option.
        FileError: a package is damaged.
        InputError: there are no packages, or a library is missing.
        OutputError: the folder cannot be created, or holds other files.
    """
    whole("size", size, 16, 512)
    at_least("held_out", held_out, 0, 0.9)
    check_workers(workers)
    check_seed(seed)
    languages = names.check_languages(languages)
    svg.renderer(), names.unicode_names()  # a missing one is an error before any work
    found = packages(Path(source), styles)
    style = _held_out_style(held_out_style, [each.style for each in found])
    gathered = pictures(found)
    splits = gathered.splits(held_out, style, seed)
    if lost := [each for each in (TEST, TRAIN) if each not in splits]:
        raise InputError(f"{source}: has too few images: none for the split {lost[0]}")
    settings = {
        "format": FORMAT,
        "size": size,
        "styles": {each.style: each.version for each in found},
        "pictures": _fingerprint(gathered),
        "held_out": held_out,
        "held_out_style": style,
        "languages": list(languages),
        "seed": seed,
        "libraries": {each: version(each) for each in ("resvg-py", "emoji")},
    }
    folder = Path(folder)

    def fill(work: Path) -> None:
        parts = Parts(work, "pictures")
        shape = (size, size, 3)
        task = _Task(gathered.icons, size)
        every = spans(len(gathered), BLOCK)
        todo = [span for span in every if stored(parts, span, PIXELS, shape) is None]
        with closing(blocks(task.setup, todo, workers, "images")) as made:
            for span, (pixels, reasons) in made:
                parts.write(span, {PIXELS: pixels}, reasons)
        _finish(folder, gathered, splits, parts, found, settings)

    place = Place(
        folder=folder,
        kind="emoji",
        what="an emoji data set",
        other="of other packages or settings",
        names=frozenset((MANIFEST, README, *map(file_of, SPLITS))),
        settings=lambda folder: _manifest(folder)["settings"] if is_emoji(folder) else None,
    )
    return place.make(settings, fill, load, overwrite=overwrite)


def is_emoji(folder: Path) -> bool:
    """Whether the folder holds an emoji data set."""
    return (folder / MANIFEST).is_file()


def load(folder: str | Path) -> Emoji:
    """Open a folder made by ``build``.

    Raises:
        FileError: the folder does not exist, or is damaged.
    """
    folder = Path(folder)
    found = _manifest(folder)
    for split in found["splits"]:
        if not (folder / file_of(split)).is_file():
            raise FileError(f"{folder / file_of(split)}: is missing")
    with reading(str(folder / MANIFEST)):
        return Emoji(
            folder=folder,
            settings=found["settings"],
            splits={str(key): int(value) for key, value in found["splits"].items()},
            things={int(key): int(value) for key, value in found["things"].items()},
            by_name=int(found["by_name"]),
            hidden=int(found["hidden"]),
            left_out=tuple((str(name), str(reason)) for name, reason in found["left_out"]),
        )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise FileError(f"{folder}: must be an emoji data set, with {MANIFEST}")
    found = load_json(path)
    keys = ("settings", "splits", "things", "by_name", "hidden", "left_out")
    whole_ = isinstance(found, dict) and all(key in found for key in keys)
    if not whole_ or not all(isinstance(found[key], dict) for key in keys[:3]):
        raise FileError(f"{path}: is damaged")
    settings = found["settings"]
    if settings.get("format") != FORMAT:
        got = quoted(settings.get("format"))
        raise FileError(f"{path}: must have format {FORMAT}; got {got}")
    if not isinstance(settings.get("styles"), dict) or not isinstance(settings.get("size"), int):
        raise FileError(f"{path}: is damaged")
    return dict(found)


def _held_out_style(chosen: str | None, styles: Sequence[str]) -> str | None:
    if chosen is None:
        return HELD_OUT_STYLE if HELD_OUT_STYLE in styles and len(styles) > 1 else None
    if chosen == names.NONE:
        return None
    if chosen not in styles:
        raise OptionError.unknown("held_out_style", chosen, (*styles, names.NONE))
    if len(styles) < 2:
        raise OptionError(f"held_out_style: needs a second style to train on; got only {chosen}")
    return chosen


def _fingerprint(found: Pictures) -> str:
    """A hash of all images, and of what their names say."""
    digest = xxhash.xxh3_128()
    for icon, thing in zip(found.icons, found.things, strict=True):
        digest.update(repr((asdict(icon), asdict(thing))).encode(errors="surrogatepass"))
    return digest.hexdigest()


@dataclass(frozen=True)
class _Task:
    """Draw a span of images."""

    icons: Sequence[Icon]
    size: int

    def setup(self, _worker: int) -> Callable[[int, int], tuple[NDArray[np.uint8], list[str]]]:
        """The function that a worker calls."""
        return self.draw

    def draw(self, first: int, last: int) -> tuple[NDArray[np.uint8], list[str]]:
        """(last - first, size, size, 3) pixels, and the reason for each that is not drawn."""
        made = np.zeros((last - first, self.size, self.size, 3), np.uint8)
        reasons = [""] * (last - first)
        for i, icon in enumerate(self.icons[first:last]):
            try:
                made[i] = svg.pixels(icon, self.size)
            except FileError as error:
                reasons[i] = str(error)
        return made, reasons


# writing ------------------------------------------------------------------------------------------


def _finish(
    folder: Path,
    found: Pictures,
    splits: Sequence[str],
    parts: Parts,
    made_of: Sequence[Package],
    settings: Mapping[str, Any],
) -> None:
    """Write the files of the folder; the manifest last, as the sign that all files exist."""
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    left_out: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    used = [each for each in SPLITS if each in splits]
    languages = settings["languages"]
    schema = schema_of(languages)
    with ExitStack() as stack:
        writers = {}
        for split in used:
            file = stack.enter_context(replacing(folder / file_of(split), overwrite=True))
            writers[split] = stack.enter_context(pq.ParquetWriter(file, schema))
        rows: dict[str, list[dict[str, Any]]] = {split: [] for split in used}
        for span in spans(len(found), BLOCK):
            part = parts.read(span)
            for i, (pixels, reason) in enumerate(zip(part.arrays[PIXELS], part.about, strict=True)):
                at = span[0] + i
                if reason:
                    left_out.append((key_of(found.icons[at]), reason))
                    continue
                split = splits[at]
                rows[split].append(row_of(found.things[at], found.icons[at], pixels, settings))
                counts[split] += 1
                if len(rows[split]) == ROWS:
                    _write(writers[split], schema, rows[split])
        for split in used:
            _write(writers[split], schema, rows[split])
    for split in set(SPLITS) - set(used):
        (folder / file_of(split)).unlink(missing_ok=True)
    with replacing(folder / README, overwrite=True) as file:
        file.write(card(made_of, counts, settings).encode())
    content = {
        "settings": settings,
        "splits": {split: counts[split] for split in used},
        "things": found.in_styles(),
        "by_name": found.by_name,
        "hidden": sum(each.hidden for each in made_of),
        "left_out": left_out,
    }
    with replacing(folder / MANIFEST, overwrite=True) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode())


def _write(writer: Any, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    """Write rows as one group, and forget them."""
    if rows:
        writer.write_table(pa.Table.from_pylist(rows, schema))
        rows.clear()
