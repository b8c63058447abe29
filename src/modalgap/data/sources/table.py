"""Read tables of paths and captions or classes: CSV and similar, JSON lines, JSON records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modalgap.data.cells import Cells, read_cells
from modalgap.data.columns import FIND, NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.labels import numbers, plain
from modalgap.data.names import image_folder
from modalgap.data.reading import column, lines, reading
from modalgap.data.source import Source
from modalgap.data.sources import names as known
from modalgap.data.sources.gather import gather, gather_classes
from modalgap.data.splits import SPLIT_COLUMN, rows_of_split
from modalgap.data.tables import Table, read_table_file
from modalgap.errors import FileError, OptionError, quoted

PATHS = (
    "filepath", "file_path", "image_path", "img_path", "path", "file_name", "filename", "file",
    "image_file_name", "image_filename", "image_file", "image_name", "img_name", "image", "img",
    "audio_path", "audio_file_name", "audio_filename", "audio_file", "audio", "images",
)  # fmt: skip
CLASS_NAMES = "classnames.txt"
ADDRESS = ("http://", "https://", "s3://", "gs://")
Place = Callable[[Sequence[str]], tuple[Path, str]]


@dataclass(frozen=True)
class Roles:
    """The column of each role; None without one."""

    image: str | None
    text: str | None
    label: str | None
    notes: tuple[str, ...] = ()


def read_table(
    path: Path,
    root: Path | None = None,
    columns: Columns = FIND,
    split: str | None = None,
) -> Source:
    """Read rows of a path and a caption or a class; rows of the same path are one image.

    Args:
        path: the table: .csv, .tsv, .jsonl, .ndjson, .json, or .txt with a header.
        root: the folder that relative paths start from; by default the folder of the table, or one
            in it that has the files.
        columns: the columns to read; by default the first with a known name.
        split: the split to read, if the table has a column of splits.

    A table without a column of captions or classes gives images only, one without paths texts
    only.

    Raises:
        FileError: the columns do not exist, or the table cannot be read.
        OptionError: several splits and none is selected, or the split does not exist.
    """
    found = read_table_file(path, columns.separator)
    with reading(str(path)):
        classes = class_names(path.parent)
        return source_of(str(path), found, columns, split, place_of(path, root), classes)


def place_of(path: Path, root: Path | None, *, above: bool = False) -> Place:
    """The folder that the paths in a table start from.

    Args:
        path: the table.
        root: the folder from the user; by default a folder near the table that has the files.
        above: whether to search in the folders around the table's own folder too.

    Raises:
        FileError: ``root`` is not a folder.
    """

    def place(names: Sequence[str]) -> tuple[Path, str]:
        if root is not None:
            if not root.is_dir():
                raise FileError(f"--root must be a folder; found no {root}")
            return root, ""
        around = [path.parent, *([path.absolute().parent.parent] if above else [])]
        folder, note = image_folder(around, names)
        if folder is None:
            return path.parent, "none of the first files exists (set their folder with --root)"
        return folder, note

    return place


def source_of(
    name: str,
    table: Table,
    columns: Columns,
    split: str | None,
    place: Place,
    classes: Sequence[str] | None = None,
) -> Source:
    """Build the source that a table describes.

    Args:
        name: name of the source.
        table: its rows.
        columns: the columns to read.
        split: the rows to read, if a column has the split of each row.
        place: maps the paths to the folder that they start from, and a note.
        classes: names of the classes, if the column of classes holds numbers.

    Raises:
        FileError: no column of paths, captions or classes, or one that cannot be read.
        OptionError: several splits and none is selected, or the split does not exist.
    """
    index, split_note = rows_of_split(table.columns, split, name)
    if index is not None:
        table = table.chosen(index)
    table, columns = _one_column(table, columns)
    roles = roles_of(table.columns, columns, classes)
    if roles.image is None and roles.text is None:
        raise FileError(
            f"must have a column of paths or captions; found {', '.join(table.columns)[:300]}: use"
            " --image-column, and --text-column or --label-column"
        )
    used = [roles.image, roles.text, roles.label]
    used += [each for each in table.columns if split_note and each.lower() == SPLIT_COLUMN]
    factors, unused = factors_of(table.columns, columns, used)
    cells = Cells([[] for _ in table.rows])
    if roles.text is not None:
        cells = read_cells(table.columns[roles.text], columns.captions, table.rows)
    missing = [*table.missing, *((table.rows[row], why) for row, why in cells.lost)]
    notes = [*table.notes, *roles.notes, cells.note, split_note]
    paths = None
    if roles.image is not None:
        paths = [path_of(value) for value in table.columns[roles.image]]
        missing += [(table.rows[i], "no path") for i, each in enumerate(paths) if not each]
    if paths is None:
        found = _texts(name, cells, factors)
        remote = [each for each, values in table.columns.items() if _is_address(values)]
        if remote and columns.image is None:
            notes.append(f"column {remote[0]!r} holds URLs of images, which are not downloaded")
    else:
        kept = [i for i, each in enumerate(paths) if each]
        folder, where = place([paths[i] for i in kept])
        notes.append(where)
        chosen = {key: [values[i] for i in kept] for key, values in factors.items()}
        if roles.label is not None:
            labels = table.columns[roles.label]
            pairs = [(paths[i], labels[i]) for i in kept]
            what = f"column {roles.label!r}"
            found = gather_classes(name, folder, pairs, names=classes, factors=chosen, what=what)
        else:
            rows = [(paths[i], cells.texts[i]) for i in kept]
            found = gather(name, folder, rows, factors=chosen)
    return replace(
        found,
        missing=(*missing, *found.missing),
        rule=_rule(roles, cells),
        notes=tuple(note for note in notes if note),
        unused_columns=unused,
        provenance={"split": split} if split else {},
    )


def _one_column(table: Table, columns: Columns) -> tuple[Table, Columns]:
    """Join columns such as ``caption_0`` and ``caption_1`` into one column of lists."""
    several = known.numbered_captions(list(table.columns))
    selected = columns.text is not None or columns.label not in (None, NONE)
    if not several or selected or column(list(table.columns), known.CAPTIONS, None, "captions"):
        return table, columns
    name = f"{several[0]} to {several[-1]}"
    rest = {key: values for key, values in table.columns.items() if key not in several}
    rows = zip(*(table.columns[key] for key in several), strict=True)
    found = replace(table, columns={**rest, name: [list(row) for row in rows]})
    return found, replace(columns, text=name)


def roles_of(
    table: Mapping[str, Sequence[Any]], columns: Columns, classes: Sequence[str] | None = None
) -> Roles:
    """Find the columns of paths, captions and classes.

    Raises:
        FileError: a selected column does not exist.
        OptionError: captions and classes are both selected.
    """
    names = list(table)
    local = [each for each in names if not _is_address(table[each])]
    image = column(local if columns.image not in names else names, PATHS, columns.image, "paths")
    if image is None and columns.image is None:
        remote = column(names, PATHS, None, "paths")
        if remote is not None:
            raise FileError(
                f"column {quoted(remote)} must hold paths of files; it holds URLs (download the"
                " files first, or read only the captions: --image-column none)"
            )
    label_asked = columns.label not in (None, NONE)
    if label_asked and columns.text not in (None, NONE):
        raise OptionError(
            "--label-column: a source has captions or classes; to keep both, pass the classes to"
            " --factors"
        )
    text = None if label_asked else column(names, known.CAPTIONS, columns.text, "captions")
    notes: tuple[str, ...] = ()
    label = (
        column(names, known.LABELS, columns.label, "classes") if label_asked or not text else None
    )
    if image is None and label is not None:
        if label_asked:
            raise FileError("--label-column: classes need a column of paths; found none")
        label = None
    if label is not None and not label_asked:
        values = plain(table[label])
        if not all(each is None or isinstance(each, str | int) for each in values):
            label = None
        elif all(each is None for each in values):
            notes, label = (f"column {label!r} holds no class",), None
    if label is not None and classes is None and numbers(table[label]):
        if label_asked:
            notes = (f"the classes are named by their numbers ({CLASS_NAMES} can name them)",)
        else:
            notes = (f"column {label!r} holds numbers (--label-column {label}: as classes)",)
            label = None
    return Roles(image, text, label, notes)


def class_names(folder: Path) -> list[str] | None:
    """The names of the classes, by number, from a file in a folder or its parent."""
    for each in (folder, folder.absolute().parent):
        path = each / CLASS_NAMES
        if path.is_file():
            return lines(path)
    return None


def path_of(value: Any) -> str:
    """The path in a cell; empty if there is none."""
    if isinstance(value, Mapping):
        value = value.get("path") or value.get("file_name")
    return value.strip() if isinstance(value, str) else ""


def _is_address(values: Sequence[Any]) -> bool:
    """Whether a column holds URLs."""
    full = [value for value in values if isinstance(value, str) and value.strip()]
    return bool(full) and all(value.strip().lower().startswith(ADDRESS) for value in full)


def _texts(name: str, cells: Cells, factors: Mapping[str, Sequence[Any]]) -> Source:
    rows = [row for row, texts in enumerate(cells.texts) for _ in texts]
    return Source(
        name=name,
        texts=[text for texts in cells.texts for text in texts],
        text_factors={key: [values[row] for row in rows] for key, values in factors.items()},
    )


def _rule(roles: Roles, cells: Cells) -> str:
    parts = []
    if roles.image is not None:
        parts.append(f"paths in {roles.image!r}")
    if roles.text is not None:
        lists = "lists of captions" if cells.several else "captions"
        parts.append(f"{lists} in {roles.text!r}")
    if roles.label is not None:
        parts.append(f"classes in {roles.label!r}")
    return f"table, {', '.join(parts)}"
