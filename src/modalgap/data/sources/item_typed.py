"""Read Parquet and Hugging Face data sets of items: several columns of bytes, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from modalgap.data.items import VIDEO, Items
from modalgap.data.media import Chosen, Kind, Media
from modalgap.data.reading import reading
from modalgap.data.sound import is_sound
from modalgap.data.sources import hub
from modalgap.data.sources.arrow import kind_of
from modalgap.data.sources.hugging_face import saved_table
from modalgap.data.sources.item_columns import (
    TEXT,
    caption_columns,
    captions_of,
    id_column,
    ids_of,
    modality_of,
    other_captions,
)
from modalgap.data.sources.parquet import ParquetTable
from modalgap.data.sources.shards import check_whole
from modalgap.data.sources.typed import Typed, holds_bytes, holds_captions, holds_string
from modalgap.errors import FileError

TRIED = 100  # cells that are read to find out the kind of a column


def read_item_parquet(files: Sequence[Path], name: str) -> Items | None:
    """Read Parquet files with two or more columns of bytes; None if they have fewer.

    Raises:
        FileError: a file is incomplete, or has other columns than the first.
    """
    with reading(name):
        check_whole(files)
        return _items(ParquetTable(files, name), "Parquet")


def read_item_shards(folder: Path, split: str | None = None) -> Items | None:
    """Read a folder of Parquet shards, as of the Hugging Face hub; None if it holds none.

    Raises:
        OptionError: there are several splits or configs and none is selected.
        FileError: as ``read_item_parquet``.
    """
    root = hub.snapshot(folder)
    tree = hub.shelve(root)
    shards = [path for path in tree.shards if path.suffix.lower() == ".parquet"]
    if not shards or tree.media:
        return None
    with reading(str(folder)):
        chosen = hub.choose(root, shards, tree, split)
        found = read_item_parquet(chosen.files, str(folder))
    if found is None:
        return None
    return replace(
        found,
        files=tuple(chosen.files),
        notes=(*chosen.notes, *found.notes),
        missing=(*chosen.missing, *found.missing),
        unused=(*chosen.unused, *hub.beside(root, tree, ()), *found.unused),
        provenance={"split": chosen.split} if chosen.split else {},
    )


def read_item_saved(folder: Path, split: str | None = None) -> Items | None:
    """Read a saved Hugging Face data set with two or more columns of bytes; None with fewer.

    Raises:
        OptionError: the split does not exist.
        InputError: ``datasets`` is not installed.
    """
    with reading(str(folder)):
        saved = saved_table(folder, split)
        found = _items(saved.table, "saved Hugging Face data set")
    if found is None:
        return None
    return replace(found, notes=(*saved.notes, *found.notes), provenance=saved.provenance)


def column_media(
    table: Typed, name: str, ids: Sequence[str], kind: Kind
) -> tuple[Media, list[str]]:
    """The items of a column of bytes, without null cells; and the id of each."""
    table.check(name, holds_bytes, "the bytes of images or sounds")
    media: Media = table.cells(name, list(ids), kind)
    nulls = table.null_rows(name) if isinstance(table, ParquetTable) else table.nulls(name)
    kept = np.setdiff1d(np.arange(len(table)), nulls)
    if len(kept) == len(table):
        return media, list(ids)
    return Chosen(media, kept), [ids[i] for i in kept]


def _items(table: Typed, what: str) -> Items | None:
    holders = [name for name, kind in table.types.items() if holds_bytes(kind)]
    if len(holders) < 2 or not len(table):
        return None
    texts = caption_columns([n for n, kind in table.types.items() if holds_captions(kind)])
    keys = [
        name
        for name, kind in table.types.items()
        if name not in texts and (holds_string(kind) or pa.types.is_integer(kind))
    ]
    key = id_column(keys)
    rows = [f"row {i}" for i in range(len(table))]
    ids = rows if key is None else ids_of(table.values(key))
    sides: dict[str, Media] = {}
    of: dict[str, Sequence[str]] = {}
    for name in holders:
        kind = _kind(table, name, ids)
        media, own = column_media(table, name, ids, kind)
        if len(media):
            side = modality_of(name, kind, sides)
            sides[side], of[side] = media, own
    captions = captions_of({name: table.values(name) for name in texts}, ids, rows)
    if captions.media is not None:
        sides[TEXT], of[TEXT] = captions.media, captions.ids
    read = ", ".join(map(repr, [*holders, *texts]))
    return Items(
        name=table.name,
        sides=sides,
        ids=of,
        means=tuple(side for side in sides if side == VIDEO),
        missing=tuple(captions.lost),
        files=tuple(table.files),
        rule=f"{what}, columns {read}" + (f", ids in {key!r}" if key else ""),
        unused=tuple(other_captions(list(table.types), texts)),
    )


def _kind(table: Typed, name: str, ids: Sequence[str]) -> Kind:
    """The kind of a column of bytes: by its feature, its name, or the first bytes in it."""
    if table.features.get(name, {}).get("_type") or kind_of(name, {}) == "audio":
        return kind_of(name, table.features)
    media = table.cells(name, list(ids), "image")
    for row in range(min(len(media), TRIED)):
        try:
            found = media[row]
        except FileError:
            continue
        return "audio" if isinstance(found, bytes) and is_sound(found) else "image"
    return "image"
