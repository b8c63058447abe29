"""Files next to images: captions, fields and classes.

``x.png`` can have ``x.txt``, ``x.caption``, ``x.json`` and ``x.cls``, or ``x.png.txt`` and so on,
which belong to this image only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modalgap.data.cells import NO_CAPTION, read_cells
from modalgap.data.columns import Columns
from modalgap.data.names import same
from modalgap.data.reading import column, decode
from modalgap.data.sources.names import CAPTIONS
from modalgap.data.text import full_lines
from modalgap.data.walk import ending_of
from modalgap.errors import FileError

TEXTS = (".txt", ".caption")  # in order of preference, if both have the same text
JSON, CLASS = ".json", ".cls"
ENDINGS = (*TEXTS, JSON, CLASS)
LARGEST = 2**20  # maximum bytes of one file
EMPTY = "an empty caption"


@dataclass
class Beside:
    """The files next to each of n images.

    Attributes:
        files: maps an extension to one file name per image, or None.
        captions: maps an extension to one list of captions per image, or None without a file.
        fields: fields of the .json files: maps a name to one value per image.
        classes: one value per image, from the .cls files; None without such files.
        failed: files without a caption: number of the image, name of the file and reason.
        notes: messages about detected formats.
        caption_field: the field of the .json files that holds the captions.
    """

    files: dict[str, list[str | None]] = field(default_factory=dict)
    captions: dict[str, list[list[str] | None]] = field(default_factory=dict)
    fields: dict[str, list[Any]] = field(default_factory=dict)
    classes: list[Any] | None = None
    failed: list[tuple[int, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    caption_field: str | None = None

    @property
    def used(self) -> set[str]:
        """Every file next to an image."""
        return {name for names in self.files.values() for name in names if name is not None}


def read_beside(
    folder: Path, images: Sequence[str], others: Iterable[str], columns: Columns
) -> Beside:
    """Read the files next to ``images``.

    Args:
        folder: the folder that names are relative to.
        images: names of images or sounds.
        others: names of all other files.
        columns: how to read captions.
    """
    result = Beside()
    by_key: dict[tuple[str, str], str] = {}
    for name in others:
        ending = ending_of(name)
        if ending in ENDINGS:
            by_key.setdefault((same(name[: -len(ending)]), ending), name)
    for ending in ENDINGS:
        names = [_of(image, ending, by_key) for image in images]
        if any(names):
            result.files[ending] = names
    for ending in TEXTS:
        if ending in result.files:
            _read_texts(result, folder, ending, columns)
    if JSON in result.files:
        _read_json(result, folder, columns)
    if CLASS in result.files:
        result.classes = [
            _first_line(result, folder, image, name)
            for image, name in enumerate(result.files[CLASS])
        ]
    return result


def _of(image: str, ending: str, by_key: Mapping[tuple[str, str], str]) -> str | None:
    """The file with an extension that belongs to an image: x.png.txt before x.txt."""
    whole = by_key.get((same(image), ending))
    return whole or by_key.get((same(image[: -len(ending_of(image))]), ending))


def _text(found: Beside, folder: Path, image: int, name: str | None) -> str | None:
    """The text of a small file; files that cannot be read are added to ``failed``."""
    if name is None:
        return None
    try:
        with (folder / name).open("rb") as file:
            held = file.read(LARGEST + 1)
        if len(held) > LARGEST:
            raise FileError(f"must have at most {LARGEST:,} bytes")
        return decode(held)
    except OSError as error:
        found.failed.append((image, name, f"cannot be read ({error.strerror})"))
    except FileError as error:
        reason = "is not UTF-8 text" if "UTF-8" in str(error) else str(error)
        found.failed.append((image, name, reason))
    return None


def _read_texts(found: Beside, folder: Path, ending: str, columns: Columns) -> None:
    captions: list[list[str] | None] = []
    several = 0
    for image, name in enumerate(found.files[ending]):
        text = _text(found, folder, image, name)
        file_captions = None if text is None else full_lines(text)
        if file_captions == []:
            found.failed.append((image, str(name), EMPTY))
        if file_captions is not None and len(file_captions) > 1:
            several += 1
            file_captions = (
                [" ".join(file_captions)] if columns.captions == "one" else file_captions
            )
        captions.append(file_captions)
    found.captions[ending] = captions
    if several and columns.captions is None:
        found.notes.append(
            f"{several:,} {ending} files have several lines, one caption each (--captions one joins"
            " them)"
        )


def _read_json(found: Beside, folder: Path, columns: Columns) -> None:
    """Read fields of objects; a text or a list of texts is a caption or a list of captions."""
    values: list[Any] = []
    for image, name in enumerate(found.files[JSON]):
        text = _text(found, folder, image, name)
        try:
            values.append(None if text is None else json.loads(text))
        except (ValueError, RecursionError):
            values.append(None)
            found.failed.append((image, str(name), "is not JSON"))
    keys = dict.fromkeys(str(key) for each in values if isinstance(each, dict) for key in each)
    found.fields = {
        key: [each.get(key) if isinstance(each, dict) else None for each in values] for key in keys
    }
    selected = columns.text if columns.text in keys else None
    found.caption_field = column(list(keys), CAPTIONS, selected, "captions")
    cells = [
        (each.get(found.caption_field) if found.caption_field else None)
        if isinstance(each, dict)
        else each
        for each in values
    ]
    names = [str(name) for name in found.files[JSON]]
    read = read_cells(cells, columns.captions, names)
    if any(read.texts):
        found.captions[JSON] = [texts or None for texts in read.texts]
        found.notes += [read.note] if read.note else []
    found.failed += [
        (row, names[row], why)
        for row, why in read.lost
        if why != NO_CAPTION or isinstance(cells[row], list)
    ]


def _first_line(found: Beside, folder: Path, image: int, name: str | None) -> str | None:
    text = _text(found, folder, image, name)
    return next(iter(full_lines(text)), None) if text else None


def chosen_captions(
    found: Beside, images: Sequence[str], columns: Columns
) -> tuple[list[list[str] | None] | None, tuple[str, ...]]:
    """The captions of each image, from one kind of file or from several that agree.

    Args:
        found: the files next to the images.
        images: names of the images.
        columns: ``text`` may name a kind of file, "txt", "caption" or "json", or a field of the
            .json files.

    Returns:
        One list of captions per image, None without such files; and the extensions of the files.

    Raises:
        FileError: two files of one image hold different captions, and none is selected.
    """
    kinds = {ending[1:]: ending for ending in (*TEXTS, JSON) if ending in found.captions}
    wanted = columns.text
    if wanted is not None:
        ending = kinds.get(wanted.removeprefix("."))
        if wanted == found.caption_field and JSON in found.captions:
            ending = JSON
        return (None, ()) if ending is None else (found.captions[ending], (ending,))
    chosen: list[list[str] | None] = [None] * len(images)
    origin: list[str | None] = [None] * len(images)
    endings = []
    for ending, each in found.captions.items():
        for i, texts in enumerate(each):
            if not texts:
                continue
            if not chosen[i]:
                chosen[i], origin[i] = texts, found.files[ending][i]
                endings.append(ending)
            elif _plain(texts) != _plain(chosen[i] or []):
                raise FileError(
                    f"{origin[i]} and {found.files[ending][i]} hold different captions; select one:"
                    f" --text-column {' or '.join(kinds)}"
                )
    if not endings:
        return None, ()
    return chosen, tuple(dict.fromkeys(endings))


def agree(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two lists of captions have the same words."""
    return _plain(first) == _plain(second)


def _plain(captions: Sequence[str]) -> str:
    return " ".join(" ".join(captions).split())
