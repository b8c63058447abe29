"""Read metadata next to images: ``metadata.csv``, ``.jsonl`` or ``.parquet``, as on the hub."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modalgap.data.columns import NONE, Columns
from modalgap.data.names import same
from modalgap.data.reading import column, reading
from modalgap.data.sources.table import PATHS, path_of
from modalgap.data.splits import has_column, rows_of_split
from modalgap.data.tables import Table, read_table_file
from modalgap.data.text import shown
from modalgap.errors import FileError, OptionError

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "metadata.tsv", "metadata.ndjson")
FIRST = ("file_name", "image_file_name", "audio_file_name")
FILE = "file_name"  # the column of names in the joined table


@dataclass
class Metadata:
    """Tables next to images, joined into one.

    Attributes:
        table: one row per row that names an image of the folder; ``FILE`` is its name.
        origin: the metadata file of each row.
        files: the files that were read.
        missing: rows that name no file of the folder.
        unused: metadata files that were not read, with the reason.
        notes: messages about detected formats.
        outside: images whose rows belong to another split.
    """

    table: Table
    origin: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)


def is_metadata(name: str) -> bool:
    """Whether a file has the name of a metadata file."""
    return posixpath.basename(name).lower() in NAMES


def read_metadata(
    folder: Path,
    images: Sequence[str],
    names: Sequence[str],
    columns: Columns,
    split: str | None = None,
    outside: Collection[str] = (),
    settled: bool = False,
) -> Metadata | None:
    """Read the metadata files ``names``; their paths are relative to their own folders.

    Args:
        folder: the folder that ``images`` and ``names`` are relative to.
        images: names of the images or sounds.
        names: names of the metadata files.
        columns: ``image`` may name the column of file names.
        split: the rows to read, if a column has the split of each row.
        outside: files of other splits; their rows are not missing.
        settled: whether the split was already selected by folders.

    Returns:
        None if there are none.

    Raises:
        FileError: a file cannot be read, or two contradict each other about an image.
        OptionError: several columns of file names, and none is selected.
    """
    there = {same(name): name for name in images}
    result = Metadata(Table({}, []))
    rows: dict[str, list[dict[str, Any]]] = {}
    owner: dict[str, str] = {}
    for name in names:
        path = folder / name
        with reading(str(path)):
            table = read_table_file(path, columns.separator)
            key = _file_column(list(table.columns), columns)
            if not settled and (has_column(table.columns) or split is not None):
                index, note = rows_of_split(table.columns, split, str(path))
                result.notes.append(note)
                if index is not None:
                    others = sorted({*range(len(table))} - {*index})
                    theirs = [path_of(table.columns[key][i]) for i in others] if key else []
                    result.outside |= {same(_joined(name, each)) for each in theirs}
                    table = table.chosen(index)
        if key is None:
            result.unused.append((name, "metadata without a column of file names"))
            continue
        result.notes += table.notes
        result.missing += [(f"{name}, {row}", why) for row, why in table.missing]
        mine: dict[str, list[dict[str, Any]]] = {}
        for i in range(len(table)):
            values = {each: table.columns[each][i] for each in table.columns if each != key}
            file_name = path_of(table.columns[key][i])
            image = there.get(same(_joined(name, file_name))) if file_name else None
            if image is None and file_name and _joined(name, file_name) in outside:
                continue
            if image is None:
                why = "names a file that does not exist" if file_name else "no path"
                result.missing.append((f"{name}, {shown(file_name) or table.rows[i]}", why))
                continue
            mine.setdefault(image, []).append({FILE: image, **values})
        result.files.append(name)
        for image, each in mine.items():
            other = owner.setdefault(image, name)
            if other == name:
                rows[image] = each
            elif _differ(rows[image], each):
                raise FileError(f"{folder}: {other} and {name} contradict each other about {image}")
    result.outside -= {same(image) for image in rows}
    if not result.files:
        return result if result.unused else None
    result.table = _table([row for each in rows.values() for row in each])
    result.origin = [owner[image] for image, each in rows.items() for _ in each]
    return result


def _file_column(names: list[str], columns: Columns) -> str | None:
    if columns.image not in (None, NONE):
        return column(names, (), columns.image, "names of files")
    best = column(names, FIRST, None, "names of files")
    if best is not None:
        return best
    others = [name for name in names if name.lower().endswith("_file_name")]
    if len(others) > 1:
        raise OptionError(f"--image-column: must be one of {', '.join(others)}; none was selected")
    return others[0] if others else column(names, PATHS, None, "names of files")


def _joined(metadata: str, path: str) -> str:
    """A name in a metadata file, relative to the folder that is read."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(metadata), path.replace("\\", "/")))


def _differ(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two files have different values in a common column."""
    for key in first[0].keys() & second[0].keys():
        one, two = ([str(row[key]).strip() for row in rows] for rows in (first, second))
        if one != two:
            return True
    return False


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    keys = dict.fromkeys(key for row in rows for key in row)
    columns = {key: [row.get(key) for row in rows] for key in keys}
    return Table(columns, [str(row[FILE]) for row in rows])
