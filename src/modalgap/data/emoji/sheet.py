"""A contact sheet: some things in every style on one page."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from modalgap.data.emoji.store import Emoji, file_of
from modalgap.data.tiles import grid
from modalgap.errors import InputError

COLUMNS = 24
EMPTY = 255


def contact_sheet(emoji: Emoji, columns: int = COLUMNS) -> Image.Image:
    """Things across, one row per style, in the order of ``settings["styles"]``.

    The things are evenly spaced in the list of those that are in the most styles, by category.

    Args:
        emoji: from ``build`` or ``load``.
        columns: maximum number of things.

    Raises:
        InputError: the data set is empty.
    """
    styles = list(emoji.settings["styles"])
    found: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
    for split in emoji.splits:
        table = pq.read_table(
            emoji.folder / file_of(split), columns=["category", "thing", "style"]
        ).to_pydict()
        for row, each in enumerate(zip(*table.values(), strict=True)):
            found.setdefault(each[:2], {})[each[2]] = (split, row)
    if not found:
        raise InputError(f"{emoji.folder}: holds no images")
    most = max(map(len, found.values()))
    things = sorted(each for each, places in found.items() if len(places) == most)
    things = [
        things[i] for i in np.linspace(0, len(things) - 1, min(columns, len(things)), dtype=int)
    ]
    size = emoji.settings["size"]
    page = np.full((len(styles), len(things), size, size, 3), EMPTY, np.uint8)
    images = {
        split: pq.read_table(emoji.folder / file_of(split), columns=["image"]).column("image")
        for split in emoji.splits
    }
    for column, thing in enumerate(things):
        for style, (split, row) in found[thing].items():
            png = images[split][row].as_py()["bytes"]
            page[styles.index(style), column] = np.asarray(Image.open(io.BytesIO(png)))
    return grid(page)
