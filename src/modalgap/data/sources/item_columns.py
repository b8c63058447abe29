"""Columns of items: the modality of a column, the ids of the items, and their captions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.data.cells import NO_CAPTION, is_null
from modalgap.data.items import VIDEO
from modalgap.data.media import Documents, Kind
from modalgap.data.objects import read_captions
from modalgap.data.reading import column
from modalgap.data.sources import names as known

FRAMES = ("video", "videos", "frame", "frames")
TEXT = "text"  # the modality of captions
_SUFFIX = re.compile(r"[_\- ]?(?:file)?[_\- ]?(?:path|name|bytes|file)$", re.IGNORECASE)
_COMMON = {"image": {*known.IMAGES} - {*known.SOUNDS}, "audio": {*known.SOUNDS}}
_NUMBERED = re.compile(r"^(.*?)[_\-. ]?[0-9]{1,2}$")


@dataclass
class Captions:
    """The captions of a table: one row per caption.

    Attributes:
        columns: the columns of captions.
        media: the captions, named by their items; None if there are none.
        ids: the item of each.
        lost: captions that cannot be read: name and reason.
    """

    columns: list[str] = field(default_factory=list)
    media: Documents | None = None
    ids: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)


def modality_of(name: str, kind: Kind, taken: Collection[str]) -> str:
    """The name of the modality that a column or a folder holds.

    A name such as ``img`` or ``wav_path`` says the kind only: image or audio. ``video`` and
    ``frames`` are videos if they hold images. Any other name is kept, without ``_path``.

    Args:
        name: of the column or folder.
        kind: of the items in it.
        taken: names of other modalities.
    """
    plain = _SUFFIX.sub("", name.strip()).strip("_- ").replace(".", "_")
    if kind == "image" and plain.lower() in FRAMES:
        plain = VIDEO
    elif not plain or plain.lower() in _COMMON.get(kind, ()) or plain.lower() == f"{kind}s":
        plain = kind
    whole = name.strip().replace(".", "_") or kind
    found = plain if plain not in taken else whole
    number = 2
    while found in taken:
        found, number = f"{whole}_{number}", number + 1
    return found


def id_column(names: Sequence[str]) -> str | None:
    """The column of item ids, by its name; None without one."""
    return column(names, known.KEYS, None, "item ids")


def ids_of(values: Sequence[Any]) -> list[str]:
    """Item ids as strings; a row without an id is an item of its own."""
    return [f"row {i}" if is_null(each) else str(each) for i, each in enumerate(values)]


def caption_columns(names: Sequence[str]) -> list[str]:
    """The columns of captions: a known name with its numbered columns, or numbered ones alone."""
    first = column(names, known.CAPTIONS, None, "captions")
    if first is None:
        return known.numbered_captions(list(names))
    stem = first.strip().lower()
    also = []
    for name in names:
        match = _NUMBERED.match(name.strip().lower())
        if match and match[1] == stem:
            also.append(name)
    return [first, *also]


def captions_of(
    columns: Mapping[str, Sequence[Any]], ids: Sequence[str], rows: Sequence[str]
) -> Captions:
    """The captions in columns; a caption that occurs twice in an item is read once.

    Args:
        columns: the columns of captions.
        ids: the item of each row.
        rows: names of the rows, for messages.

    Raises:
        FileError: only some cells of a column hold the text of a list.
    """
    found = Captions(list(columns))
    pairs: dict[tuple[str, str], None] = {}
    cells = [
        read_captions(values, None, f"column {name!r}", rows) for name, values in columns.items()
    ]
    for row, item in enumerate(ids):
        for each in cells:
            pairs.update(dict.fromkeys((item, text) for text in each.texts[row]))
    for each in cells:
        found.lost += [(f"{rows[i]}, caption", why) for i, why in each.lost if why != NO_CAPTION]
    if pairs:
        found.ids = [item for item, _ in pairs]
        found.media = Documents([text for _, text in pairs], found.ids)
    return found


def other_captions(names: Sequence[str], used: Collection[str]) -> list[tuple[str, str]]:
    """Further columns with a name of captions, which are not read."""
    return [
        (f"column {name}", "another column of captions")
        for name in names
        if name not in used and name.strip().lower() in known.CAPTIONS
    ]
