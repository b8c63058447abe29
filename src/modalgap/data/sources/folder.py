"""Folders of images or sounds, with what stands beside them: captions, classes, metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modalgap.data.cells import is_null, read_cells
from modalgap.data.classes import PLAIN, labelled_media, readable
from modalgap.data.columns import FIND, NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.labels import numbers
from modalgap.data.media import IMAGES, SOUNDS, Files, Kind
from modalgap.data.names import same
from modalgap.data.plugins import lacking
from modalgap.data.reading import column, reading
from modalgap.data.source import Source
from modalgap.data.sources.beside import (
    CLASS,
    EMPTY,
    JSON,
    TEXTS,
    Beside,
    agree,
    chosen_captions,
    read_beside,
)
from modalgap.data.sources.gather import gather, gather_classes
from modalgap.data.sources.leftovers import leftover
from modalgap.data.sources.metadata import FILE, Metadata, is_metadata, read_metadata
from modalgap.data.sources.names import LABELS
from modalgap.data.sources.table import CLASS_NAMES, class_names, roles_of
from modalgap.data.splits import choose
from modalgap.data.tables import Table
from modalgap.data.walk import Tree, ending_of, walk
from modalgap.errors import FileError, OptionError


@dataclass
class _Folder:
    """A folder as it was found.

    Attributes:
        tree: all its files.
        images: names of those that hold images or sounds that can be read.
        kind: which of both.
        beside: what stands beside each.
        metadata: tables about them, or None.
        columns: what the user asked for.
        missing: what was left out: name and reason.
        notes: what was guessed.
        outside: files of other splits than the one that is read.
        base: the folder of that split; "" where there is no such folder.
        split: the split that the user chose.
        table: one row per row of the metadata, or per image where there are none; ``FILE`` is the
            image, and fields of .json files and classes are columns as well.
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

    @property
    def files(self) -> list[str]:
        """The image of each row."""
        return self.table.columns[FILE]


def read_folder(folder: Path, columns: Columns = FIND, split: str | None = None) -> Source:
    """The images of a folder, and what its layout says of them.

    Captions come from a metadata file, or from .txt, .caption and .json files of the same names;
    classes from a metadata file, .cls files, or the folders directly under this one, if every file
    lies in one and there are two. Whatever is not read is in ``missing`` or ``unused``.

    Args:
        folder: what to read; links are followed.
        columns: of the metadata or the .json files; "txt", "caption", "json" and "cls" name the
            files beside the images.
        split: where folders are named as splits are.

    Raises:
        FileError: no images and no sounds, or both, or files that contradict each other.
        OptionError: an option that the folder cannot follow.
    """
    with reading(str(folder)):
        found = _find(folder, columns, split)
        source = _captioned(found)
        if source is None:
            source = _classified(found) or _class_folders(found) or _alone(found)
            failed = tuple((name, why) for _, name, why in found.beside.failed)
            source = replace(source, missing=(*source.missing, *failed))
    used = found.beside.used | {*found.images, *found.outside, *(name for name, _ in found.missing)}
    unused: list[tuple[str, str]] = []
    lost: list[tuple[str, str]] = []
    if found.metadata is not None:
        used |= {*found.metadata.files, *(name for name, _ in found.metadata.unused)}
        unused += found.metadata.unused
        lost += found.metadata.missing
    rest = [name for name in found.tree.files if name not in used]
    captioned = any(ending in found.beside.files for ending in TEXTS)
    more = leftover(rest, folder, captioned=captioned, classes=CLASS in found.beside.files)
    lost += more.lost
    unused += more.unused
    return replace(
        source,
        name=str(folder),
        modality=found.kind,
        missing=(*found.missing, *source.missing, *lost, *found.tree.lost),
        unused=(*source.unused, *unused, *found.tree.unused),
        notes=tuple(dict.fromkeys(note for note in (*found.notes, *source.notes) if note)),
        provenance={"split": split} if split else {},
    )


def _find(folder: Path, columns: Columns, split: str | None) -> _Folder:
    tree = walk(folder)
    media = [name for name in tree.files if ending_of(name) in IMAGES | SOUNDS]
    chosen = choose(tree.files, media, split, str(folder))
    outside = chosen.outside
    inside = [name for name in tree.files if name not in outside]
    media = [name for name in media if name not in outside]
    others = [name for name in inside if ending_of(name) not in IMAGES | SOUNDS]
    missing = [(name, lacking(ending_of(name))) for name in media]
    missing = [(name, lacks) for name, lacks in missing if lacks]
    needy = {name for name, _ in missing}
    images = [name for name in media if name not in needy]
    tables = [name for name in others if is_metadata(name)]
    rows_split = None if chosen.note else split
    if rows_split is not None and not tables:
        raise OptionError(f"--split: {folder} has none; got {rows_split[:100]!r}")
    metadata = read_metadata(folder, images, tables, columns, rows_split, outside)
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
    found = _Folder(
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
    )
    found.table = _table(found)
    _check_columns(found)
    return found


def _table(found: _Folder) -> Table:
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


def _check_columns(found: _Folder) -> None:
    """Refuse columns that are not there."""
    columns = found.columns
    if found.metadata is None:
        columns.refuse(str(found.tree.folder), "text", "label", "factors", "captions")
    files = [ending[1:] for ending in found.beside.files]
    for option, asked in (("text", columns.text), ("label", columns.label)):
        if asked in (None, NONE, *found.table.columns):
            continue
        if asked is not None and asked.removeprefix(".") in files:
            continue
        known = ", ".join([*(key for key in found.table.columns if key != FILE), *files])
        raise OptionError(
            f"--{option}-column: {found.tree.folder} has no {str(asked)[:100]!r};"
            f" it has {known[:300] or 'none'}"
        )
    if columns.label not in (None, NONE) and columns.text not in (None, NONE):
        raise OptionError(
            "--label-column: a source has captions or classes; to keep both, give the classes to"
            " --factors"
        )


def _captioned(found: _Folder) -> Source | None:
    """Images with captions, from the metadata or from the files beside them."""
    columns = found.columns
    if columns.text == NONE or columns.label not in (None, NONE):
        return None
    in_table = None
    if found.metadata is not None and found.metadata.files:
        listed = {key: found.table.columns[key] for key in found.metadata.table.columns}
        asked = columns.text if columns.text in listed else None
        in_table = roles_of(listed, Columns(image=FILE, text=asked, label=NONE)).text
        if columns.text is not None and asked is None:
            in_table = None
    said, endings = chosen_captions(found.beside, found.images, columns)
    if in_table is None and said is None:
        return None
    cells = read_cells([None] * len(found.table), None)
    notes = [_preferred(endings)]
    if in_table is not None:
        cells = read_cells(found.table.columns[in_table], columns.captions, found.table.rows)
        notes.append(cells.note)
    texts, missing = _merged(found, cells.texts, said)
    used = [FILE, in_table, found.beside.caption_field if JSON in endings else None]
    factors, unused = factors_of(found.table.columns, columns, used)
    index = [i for i, each in enumerate(texts) if each]
    source = gather(
        "",
        found.tree.folder,
        [(found.files[i], texts[i]) for i in index],
        kind=found.kind,
        missing=missing,
        factors={key: [values[i] for i in index] for key, values in factors.items()},
    )
    kinds = [f"{ending} captions" for ending in endings]
    if in_table is not None:
        kinds.insert(0, f"captions in {in_table!r} of {_shown(found)}")
    what = "images" if found.kind == "image" else "sounds"
    return replace(
        source,
        rule=f"{what} beside {' and '.join(kinds)}",
        notes=tuple(notes),
        unused_columns=unused,
    )


def _merged(
    found: _Folder, in_table: list[list[str]], beside: list[list[str] | None] | None
) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """The captions of each row, those of the metadata or beside the image; and what has none.

    Raises:
        FileError: both have captions of one image, and they differ.
    """
    texts = [list(each) for each in in_table]
    said = dict(zip(found.images, beside, strict=True)) if beside is not None else {}
    failed = {found.images[i]: (name, why) for i, name, why in found.beside.failed}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(found.files):
        rows.setdefault(name, []).append(row)
    missing = []
    for name, mine in rows.items():
        own = [text for row in mine for text in texts[row]]
        other = said.get(name)
        if own and other and not agree(own, other):
            raise FileError(
                f"{_shown(found)} and a file beside {name} hold different captions; choose with"
                " --text-column"
            )
        if not own and other:
            texts[mine[0]] = other
        elif not own:
            file, why = failed.get(name, ("", "no caption beside it"))
            missing.append((name, why if why == EMPTY or not file else f"its caption {why}"))
    without = {name for name, _ in missing}
    missing += [
        (name, why) for i, name, why in found.beside.failed if found.images[i] not in without
    ]
    return texts, missing


def _preferred(endings: Sequence[str]) -> str:
    first = ", ".join(endings[:-1])
    return f"captions from {first}, where there is none from {endings[-1]}" if first else ""


def _shown(found: _Folder) -> str:
    """The metadata files, in few words."""
    files = found.metadata.files if found.metadata is not None else []
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}" if files else ""


def _classified(found: _Folder) -> Source | None:
    """Images with classes, from the metadata, .json or .cls files."""
    columns, table = found.columns, found.table.columns
    if columns.label == NONE:
        return None
    asked = columns.label.removeprefix(".") if columns.label else None
    names = None
    if CLASS in found.beside.files:
        names = class_names(found.tree.folder)
    candidates = [key for key in table if key != FILE]
    label = column(candidates, ("cls", *LABELS) if names else (*LABELS, "cls"), asked, "classes")
    if label is None:
        return None
    if label != "cls":
        names = None
    held = [value for value in table[label] if not is_null(value)]
    if asked is None and not all(isinstance(value, str | int) for value in held):
        return None
    notes = []
    if names is None and numbers(held):
        if asked is None:
            found.notes.append(
                f"{label!r} holds numbers (--label-column {label}: as classes, called by their"
                f" numbers; {CLASS_NAMES} can name them)"
            )
            return None
        notes.append("classes are called by their numbers")
    factors, unused = factors_of(table, columns, [FILE, label])
    rows = [(name, value) for name, value in zip(found.files, table[label], strict=True)]
    source = gather_classes(
        "", found.tree.folder, rows, names=names, kind=found.kind, factors=factors
    )
    where = ".cls files" if label == "cls" else repr(label)
    return replace(source, rule=f"classes in {where}", notes=tuple(notes), unused_columns=unused)


def _class_folders(found: _Folder) -> Source | None:
    """Images whose first folder is their class."""
    parts = [name.removeprefix(found.base).split("/") for name in found.images]
    firsts = sorted({each[0] for each in parts if len(each) > 1})
    if found.columns.label == NONE or not firsts:
        return None
    flat = sum(len(each) == 1 for each in parts)
    if flat or len(firsts) == 1:
        why = f"{flat:,} files lie beside them" if flat else "there is one only"
        found.notes.append(f"folders are not read as classes: {why}")
        return None
    names = [readable(each) for each in firsts]
    number = {each: i for i, each in enumerate(firsts)}
    media = Files.under(found.tree.folder, found.images, found.kind)
    source = labelled_media(
        media,
        [number[each[0]] for each in parts],
        names if len(set(names)) == len(names) else firsts,
    )
    empty = [] if found.base else [each for each in found.tree.folders if each not in number]
    factors, unused = _image_factors(found)
    return replace(
        source,
        templates=PLAIN,
        rule="folders of classes",
        factors=factors,
        unused_columns=unused,
        unused=tuple((name, "a folder without images") for name in empty),
    )


def _alone(found: _Folder) -> Source:
    names = found.images
    factors, unused = _image_factors(found)
    return Source(
        name=str(found.tree.folder),
        media=Files.under(found.tree.folder, names, found.kind),
        modality=found.kind,
        rule="images alone" if found.kind == "image" else "sounds alone",
        factors=factors,
        unused_columns=unused,
    )


def _image_factors(found: _Folder) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Factors of each image, from all rows that are about it."""
    factors, unused = factors_of(found.table.columns, found.columns, [FILE])
    source = gather(
        "",
        found.tree.folder,
        [(name, ()) for name in found.files],
        kind=found.kind,
        factors=factors,
    )
    assert source.media is not None  # noqa: S101 - as gather makes it
    place = {name: i for i, name in enumerate(source.media.names)}
    order = [place[name] for name in found.images]
    return {key: [values[i] for i in order] for key, values in source.factors.items()}, unused
