"""Thumbnails: small pictures of the shown items, all on one sheet."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from modalgap.data.media import Media
from modalgap.data.pixels import decode
from modalgap.embeddings import Embeddings
from modalgap.errors import FileError, InputError
from modalgap.evaluate.base import Ints
from modalgap.progress import progress

FEW = 800  # up to this number of items, thumbnails are large
LARGE, SMALL = 64, 48  # pixels
WIDEST = 16383  # pixels of a WebP file, in both directions
QUALITY = 60  # of WebP
PAPER = (255, 255, 255)  # around pictures that are not square


@dataclass(frozen=True)
class Sheet:
    """All thumbnails of one modality, row by row.

    Attributes:
        size: pixels of one thumbnail, in both directions.
        columns: thumbnails in a row.
        cells: for each item, its place on the sheet; -1 without a picture.
        data: the WebP file in base64.
    """

    size: int
    columns: int
    cells: Sequence[int]
    data: str


def sheet(side: Embeddings, rows: Ints, media: Media) -> tuple[Sheet | None, str]:
    """The thumbnails of the shown items, and a remark if some have none.

    Args:
        side: the shown items.
        rows: their rows in all embeddings of this modality.
        media: pictures. An item is found by its name; without names, by its row.
    """
    found = places(side, rows, media)
    size = LARGE if side.n <= FEW else SMALL
    size = max(1, min(size, WIDEST // math.ceil(math.sqrt(side.n))))
    tiles: list[Image.Image] = []
    cells = [-1] * side.n
    broken = 0
    with progress("thumbnails", side.n) as advance:
        for row, place in enumerate(found):
            advance(1)
            if place < 0:
                continue
            shown = tile(media, place, size)
            if shown is None:
                broken += 1
                continue
            tiles.append(shown)
            cells[row] = len(tiles) - 1
    missing = side.n - len(tiles) - broken
    said = [
        f"{count:,} of {side.n:,} {side.modality} items {what}"
        for count, what in ((missing, "are not in the source"), (broken, "cannot be decoded"))
        if count
    ]
    if not tiles:
        return None, "; ".join(said)
    columns = math.ceil(math.sqrt(len(tiles)))
    size = max(max(each.size) for each in tiles)  # of small pictures, smaller
    whole = Image.new("RGB", (columns * size, math.ceil(len(tiles) / columns) * size), PAPER)
    for place, each in enumerate(tiles):
        x, y = place % columns * size, place // columns * size
        whole.paste(each, (x + (size - each.width) // 2, y + (size - each.height) // 2))
    file = io.BytesIO()
    whole.save(file, "WEBP", quality=QUALITY, method=6)
    data = base64.b64encode(file.getvalue()).decode()
    return Sheet(size, columns, cells, data), "; ".join(said)


def places(side: Embeddings, rows: Ints, media: Media) -> Sequence[int]:
    """The position of each item in the source; -1 for none."""
    if side.names is None:
        return [int(row) if row < len(media) else -1 for row in rows]
    known = {name: place for place, name in enumerate(media.names)}
    found = [known.get(name, -1) for name in side.names]
    if len(known) < len(media):  # repeated names: rows decide, if they name the same items
        found = [
            int(row) if row < len(media) and media.names[int(row)] == name else place
            for name, row, place in zip(side.names, rows, found, strict=True)
        ]
    return found


def tile(media: Media, place: int, size: int) -> Image.Image | None:
    """One picture, at most ``size`` pixels wide and high; None if it cannot be decoded."""
    try:
        found = media[place]
        if isinstance(found, str):
            return None  # a text has no picture
        image = decode(found)
    except (FileError, InputError):
        return None
    image.thumbnail((size, size))
    return image
