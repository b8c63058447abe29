"""Analyse a folder of images or sounds before it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modalgap.data.columns import NONE, Columns
from modalgap.data.media import IMAGES, SOUNDS, Kind
from modalgap.data.names import same
from modalgap.data.plugins import lacking
from modalgap.data.sources.beside import CLASS, JSON, Beside, read_beside
from modalgap.data.sources.metadata import FILE, Metadata, is_metadata, read_metadata
from modalgap.data.splits import choose
from modalgap.data.tables import Table
from modalgap.data.walk import Tree, ending_of, walk
from modalgap.errors import FileError, OptionError, quoted


@dataclass
class Layout:
    """The files of a folder of images or sounds.

    Attributes:
        tree: all its files.
        images: names of the readable images or sounds.
        kind: "image" or "audio".
        beside: the files next to each.
        metadata: tables about them, or None.
        columns: the columns that the user selected.
        missing: items that were left out: name and reason.
        notes: messages about detected formats.
        outside: files of other splits.
        base: the folder of the split; "" if there is no such folder.
        split: the split that the user selected.
        table: one row per row of the metadata, or per image without metadata; ``FILE`` is the
            image; fields of .json files and classes are columns too.
        unused: files that are not read: name and reason.
        read: extensions of the files next to images that were used.
    """

    tree: Tree
    images: list[str]
    kind: Kind
    beside: Beside
    metadata: Metadata | None
    columns: Columns
    missing: list[tuple[str, str]]
    notes: list[str]
    outside: set[str]
    base: str
    split: str | None
    table: Table
    unused: list[tuple[str, str]]
    read: set[str] = field(default_factory=set)

    @property
    def files(self) -> list[str]:
        """The image of each row."""
        return self.table.columns[FILE]

    def took(self, *names: str | None) -> None:
        """Mark the files that provide these columns as used."""
        for name in names:
            if name == "cls" and self.beside.classes is not None:
                self.read.add(CLASS)
            elif name in self.beside.fields:
                self.read.add(JSON)

    def not_taken(self) -> list[tuple[str, str]]:
        """Files next to images that were not used: name and reason."""
        return [
            (name, f"a {ending} file beside an image, which is not used")
            for ending, names in self.beside.files.items()
            if ending not in self.read
            for name in dict.fromkeys(names)
            if name is not None
        ]


def find_layout(folder: Path, columns: Columns, split: str | None) -> Layout:
    """Find the images or sounds under a folder and all files next to them.

    Args:
        folder: the folder.
        columns: the columns that the user selected.
        split: the split, if folders have names of splits or the metadata have such a column.

    Raises:
        FileError: no images and no sounds, or both, or metadata that contradict each other.
        OptionError: an option that the folder does not support.
    """
    tree = walk(folder)
    media = [name for name in tree.files if ending_of(name) in IMAGES | SOUNDS]
    chosen = choose(tree.files, media, split, str(folder))
    outside = chosen.outside
    inside = [name for name in tree.files if name not in outside]
    stray = chosen.stray(media)
    media = [name for name in media if name not in outside and name not in stray]
    others = [
        name for name in inside if name not in stray and ending_of(name) not in IMAGES | SOUNDS
    ]
    missing = [(name, lacking(ending_of(name))) for name in media]
    missing = [(name, lacks) for name, lacks in missing if lacks]
    needy = {name for name, _ in missing}
    images = [name for name in media if name not in needy]
    tables = [name for name in others if is_metadata(name)]
    rows_split = None if chosen.note else split
    if rows_split is not None and not tables:
        raise OptionError(f"--split: {folder} has none; got {quoted(rows_split)}")
    metadata = read_metadata(
        folder, images, tables, columns, rows_split, outside, settled=bool(chosen.note)
    )
    if metadata is not None and metadata.outside:
        outside |= {name for name in images if same(name) in metadata.outside}
        images = [name for name in images if name not in outside]
    sounds = [name for name in images if ending_of(name) in SOUNDS]
    if sounds and len(sounds) < len(images):
        raise FileError(
            f"must hold images or sounds; found {len(images) - len(sounds)} and {len(sounds)}"
        )
    if not images:
        why = f" ({missing[0][1]})" if missing else ""
        raise FileError(
            f"must hold images, sounds, tar shards, Parquet or a Hugging Face data set; found none"
            f"{why}"
        )
    beside = read_beside(folder, images, others, columns)
    found = Layout(
        tree=tree,
        images=images,
        kind="audio" if sounds else "image",
        beside=beside,
        metadata=metadata,
        columns=columns,
        missing=missing,
        notes=[chosen.note, *beside.notes],
        outside=outside,
        base=chosen.base,
        split=split,
        table=Table({}, []),
        unused=[(name, "beside the folders of splits") for name in sorted(stray)],
    )
    found.table = _table(found)
    _check_columns(found)
    return found


def _table(found: Layout) -> Table:
    """Metadata, fields of .json files and classes as one table."""
    metadata = found.metadata
    columns: dict[str, list[Any]] = {FILE: list(found.images)}
    if metadata is not None and metadata.table.rows:
        found.notes += metadata.notes
        columns = {key: list(values) for key, values in metadata.table.columns.items()}
        for name in sorted({*found.images} - {*columns[FILE]}):
            for key, values in columns.items():
                values.append(name if key == FILE else None)
    place = {name: i for i, name in enumerate(found.images)}
    extra = dict(found.beside.fields)
    if found.beside.classes is not None:
        extra["cls"] = found.beside.classes
    for key, values in extra.items():
        if key not in columns:
            columns[key] = [values[place[name]] for name in columns[FILE]]
    return Table(columns, columns[FILE])


def _check_columns(found: Layout) -> None:
    """Raise an error for columns that do not exist."""
    columns = found.columns
    if found.metadata is None:
        columns.refuse(str(found.tree.folder), "text", "label", "factors", "captions")
    files = [ending[1:] for ending in found.beside.files]
    for option, selected in (("text", columns.text), ("label", columns.label)):
        if selected in (None, NONE, *found.table.columns):
            continue
        if selected is not None and selected.removeprefix(".") in files:
            continue
        known = ", ".join([*(key for key in found.table.columns if key != FILE), *files])
        raise OptionError(
            f"--{option}-column: {found.tree.folder} has no {quoted(str(selected))};"
            f" it has {known[:300] or 'none'}"
        )
    if columns.label not in (None, NONE) and columns.text not in (None, NONE):
        raise OptionError(
            "--label-column: a source has captions or classes; to keep both, pass the classes to"
            " --factors"
        )
