"""Read tables of items: columns of paths of several modalities, with captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.data.items import VIDEO, Items
from modalgap.data.media import IMAGES, SOUNDS, Files, Kind, Media
from modalgap.data.names import Names
from modalgap.data.reading import reading
from modalgap.data.sources.item_columns import (
    TEXT,
    caption_columns,
    captions_of,
    id_column,
    ids_of,
    modality_of,
    other_captions,
)
from modalgap.data.sources.table import path_of, place_of
from modalgap.data.splits import SPLIT_COLUMN, rows_of_split
from modalgap.data.tables import read_table_file
from modalgap.data.walk import ending_of


def read_item_table(path: Path, root: Path | None = None, split: str | None = None) -> Items | None:
    """Read a table with two or more columns of paths; None if it has fewer.

    A column holds paths if every cell that is not empty ends as an image, or every one as a sound.
    A cell may hold a list of paths. Rows of the same id are one item; the id is in a column such as
    ``id``, else it is the first path of the row.

    Args:
        path: .csv, .tsv, .jsonl, .ndjson, .json (a list of records), .parquet, or .txt with a
            header.
        root: the folder that relative paths start from; by default a folder near the table that
            has the files of the column.
        split: the split to read, if the table has a column of splits.

    Raises:
        FileError: the table cannot be read.
        OptionError: several splits and none is selected, or the split does not exist.
    """
    table = read_table_file(path)
    with reading(str(path)):
        kinds = {
            name: kind for name, values in table.columns.items() if (kind := _kind(values, name))
        }
        if len(kinds) < 2:
            return None
        index, split_note = rows_of_split(table.columns, split, str(path))
        if index is not None:
            table = table.chosen(index)
        rest = [name for name in table.columns if name not in kinds]
        texts = caption_columns(rest)
        key = id_column([name for name in rest if name not in texts])
        ids = _ids(table.columns, key, list(kinds))
        sides: dict[str, Media] = {}
        of: dict[str, Sequence[str]] = {}
        notes = [*table.notes, split_note]
        place = place_of(path, root)
        for name, kind in kinds.items():
            pairs = dict.fromkeys(
                (item, each)
                for item, cell in zip(ids, table.columns[name], strict=True)
                for each in _paths(cell)
            )
            if not pairs:  # of another split
                continue
            side = modality_of(name, kind, sides)
            folder, note = place([each for _, each in pairs])
            notes += [f"column {name!r}: {note}"] if note else []
            found = Names(folder)
            paths = [found.path(each) for _, each in pairs]
            sides[side] = Files(paths, [each for _, each in pairs], kind)
            of[side] = [item for item, _ in pairs]
        captions = captions_of({name: table.columns[name] for name in texts}, ids, table.rows)
        if captions.media is not None:
            sides[TEXT], of[TEXT] = captions.media, captions.ids
        read = [*kinds, *texts]
        return Items(
            name=str(path),
            sides=sides,
            ids=of,
            means=tuple(side for side in sides if side == VIDEO),
            missing=(*table.missing, *captions.lost),
            files=(path,),
            rule=f"table, columns {', '.join(map(repr, read))}, ids in {key!r}"
            if key
            else f"table, columns {', '.join(map(repr, read))}",
            notes=tuple(note for note in notes if note),
            unused=tuple(
                other_captions(list(table.columns), [*read, *([key] if key else []), SPLIT_COLUMN])
            ),
            provenance={"split": split} if split else {},
        )


def _kind(values: Sequence[Any], name: str) -> Kind | None:
    """The kind of the files that a column names; None if it holds other values."""
    found: set[Kind | None] = set()
    for cell in values:
        for each in _paths(cell):
            ending = ending_of(each)
            found.add("image" if ending in IMAGES else "audio" if ending in SOUNDS else None)
    return found.pop() if len(found) == 1 and name.lower() != SPLIT_COLUMN else None


def _paths(cell: Any) -> list[str]:
    """The paths in a cell, in order: none, one, or those of a list."""
    cells = cell if isinstance(cell, list | tuple) else [cell]
    return [path for each in cells if (path := path_of(each))]


def _ids(columns: Mapping[str, Sequence[Any]], key: str | None, media: list[str]) -> list[str]:
    if key is not None:
        return ids_of(columns[key])
    rows = zip(*(columns[name] for name in media), strict=True)
    firsts = [next((path for cell in row for path in _paths(cell)), None) for row in rows]
    return ids_of(firsts)
