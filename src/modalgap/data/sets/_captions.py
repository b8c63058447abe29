"""Formats of captions: Karpathy's splits, and the lists of Flickr8k and Flickr30k."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path

from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.data.sources.karpathy import FILE, SENTENCES, SPLIT, karpathy_table
from modalgap.errors import FileError, quoted

KARPATHY = {
    "karpathy-test": ("test",),
    "karpathy-val": ("val",),
    "karpathy-train": ("train", "restval"),
}
"""Maps a split to its names in the file: training usually includes COCO's restval."""

_TOKEN = re.compile(r"(.+)#[0-9]+\t(.*)")
_BARS = re.compile(r"([^|]+)\|\s*[0-9]+\s*(?:\|\s*|\s)(.*)")  # one row on Kaggle lacks a bar


def karpathy(path: Path, images: Path, splits: Collection[str]) -> Source:
    """Read images and captions of some splits from one of Karpathy's ``dataset_*.json``.

    Raises:
        FileError: an image occurs twice, or has sentences of another image.
    """
    with reading(str(path)):
        found = karpathy_table(load_json(path))
        rows: dict[str, list[str]] = {}
        columns = (found.columns[key] for key in (FILE, SENTENCES, SPLIT))
        for name, texts, split in zip(*columns, strict=True):
            for each in texts:
                text(each, name)
            if split in splits:
                if name in rows:
                    raise FileError(f"{name}: occurs twice")
                rows[name] = texts
        if not rows:
            raise FileError(f"must list images of {' or '.join(splits)}; found none")
        return captioned(gather(str(path), images, rows.items()))


def read_captions(path: Path) -> list[tuple[str, str]]:
    """Read (image, caption) in the order of the file.

    Three forms are read: ``name#0<tab>caption`` from the authors, ``name| 0| caption`` and
    ``name,caption`` (or ``name,0,caption``) from Kaggle, both with a header.

    Raises:
        FileError: a row without an image or a caption.
    """
    with reading(str(path)):
        # splitlines would also split at unusual characters inside captions
        rows = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")
        if "\t" not in rows[0] and "|" not in rows[0]:
            return _commas(rows)
        pattern = _TOKEN if "\t" in rows[0] else _BARS
        first = 1 if pattern is _BARS else 0
        result = []
        for number, row in enumerate(rows[first:], first + 1):
            if not row.strip():
                continue
            match = pattern.fullmatch(row)
            if match is None:
                raise FileError(f"row {number} must hold an image and a caption; it does not")
            result.append((match[1].strip(), match[2].strip()))
        return result


def captioned(source: Source) -> Source:
    """Check a source of captions, and return it.

    Raises:
        FileError: there are no captions, or an image is listed twice.
    """
    if source.texts is None:
        raise FileError("must hold captions of these images; found none")
    for name, why in source.missing:
        if "twice" in why:
            raise FileError(f"{name}: {why}")
    return source


def text(value: object, name: str) -> str:
    """Check a caption, and return it.

    Raises:
        FileError: not a string.
    """
    if not isinstance(value, str):
        raise FileError(f"{name}: a caption must be a string; found {type(value).__name__}")
    return value


def _commas(rows: list[str]) -> list[tuple[str, str]]:
    cells = csv.reader(f"{row}\n" for row in rows)
    header = [name.strip() for name in next(cells)]
    if len(header) < 2 or header[0] not in ("image", "image_name"):
        raise FileError(f"must be a list of captions; its first row is {quoted(rows[0])}")
    before = len(header) - 1
    result = []
    for row in cells:
        # captions contain commas, not always in quotes
        caption = ",".join(row[before:])
        if not any(row):
            continue
        if len(row) < len(header) or not row[0].strip():
            raise FileError(f"row {cells.line_num} must hold an image and a caption; it does not")
        if "\n" in caption:
            raise FileError(f"row {cells.line_num} must end its quotes; it does not")
        result.append((row[0].strip(), caption.strip()))
    return result
