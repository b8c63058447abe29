"""Read folders of images or sounds, with captions, classes or metadata in files next to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modalgap.data.cells import is_null, read_cells
from modalgap.data.classes import PLAIN, labelled_media, readable
from modalgap.data.columns import FIND, NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.labels import numbers, plain
from modalgap.data.media import Files
from modalgap.data.reading import column, reading
from modalgap.data.source import Source
from modalgap.data.sources.beside import CLASS, EMPTY, JSON, TEXTS, agree, chosen_captions
from modalgap.data.sources.gather import gather, gather_classes
from modalgap.data.sources.layout import Layout, find_layout
from modalgap.data.sources.leftovers import leftover
from modalgap.data.sources.metadata import FILE
from modalgap.data.sources.names import LABELS
from modalgap.data.sources.table import CLASS_NAMES, class_names, roles_of
from modalgap.errors import FileError


def read_folder(folder: Path, columns: Columns = FIND, split: str | None = None) -> Source:
    """Read the images of a folder, by its layout.

    Captions come from a metadata file, or from .txt, .caption and .json files of the same names;
    classes from a metadata file, .cls files, or the folders directly in this one, if every file is
    in one and there are at least two. ``missing`` and ``unused`` list everything that is not read.

    Args:
        folder: the folder; links are followed.
        columns: columns of the metadata or the .json files; "txt", "caption", "json" and "cls" name
            the files next to the images.
        split: the split to read, if folders have names of splits.

    Raises:
        FileError: no images and no sounds, or both, or files that contradict each other.
        OptionError: an option that the folder does not support.
    """
    with reading(str(folder)):
        found = find_layout(folder, columns, split)
        source = _captioned(found)
        if source is None:
            source = _classified(found) or _class_folders(found) or _alone(found)
            failed = tuple((name, why) for _, name, why in found.beside.failed)
            source = replace(source, missing=(*source.missing, *failed))
    unused = [*found.unused, *found.not_taken()]
    used = found.beside.used | {*found.images, *found.outside}
    used |= {name for name, _ in (*found.missing, *found.unused)}
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


def _captioned(found: Layout) -> Source | None:
    """Images with captions, from the metadata or from the files next to them."""
    columns = found.columns
    if columns.text == NONE or columns.label not in (None, NONE):
        return None
    in_table = None
    if found.metadata is not None and found.metadata.table.rows:
        listed = {key: found.table.columns[key] for key in found.metadata.table.columns}
        selected = columns.text if columns.text in listed else None
        in_table = roles_of(listed, Columns(image=FILE, text=selected, label=NONE)).text
        if columns.text is not None and selected is None:
            in_table = None
    file_captions, endings = chosen_captions(found.beside, found.images, columns)
    if in_table is None and file_captions is None:
        return None
    cells = read_cells([None] * len(found.table), None)
    notes = [_preferred(endings)]
    if in_table is not None:
        cells = read_cells(found.table.columns[in_table], columns.captions, found.table.rows)
        notes.append(cells.note)
    texts, missing = _merged(found, cells.texts, file_captions)
    used = [FILE, in_table, found.beside.caption_field if JSON in endings else None]
    index = [i for i, each in enumerate(texts) if each]
    factors, unused = factors_of(found.table.chosen(index).columns, columns, used)
    found.took(*factors)
    found.read |= {*endings} if columns.text else {*found.beside.captions}
    source = gather(
        "",
        found.tree.folder,
        [(found.files[i], texts[i]) for i in index],
        kind=found.kind,
        missing=missing,
        factors=factors,
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
    found: Layout, in_table: list[list[str]], beside: list[list[str] | None] | None
) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """The captions of each row, from metadata or a file next to the image; and missing ones.

    Raises:
        FileError: an image has different captions in both.
    """
    texts = [list(each) for each in in_table]
    other_captions = dict(zip(found.images, beside, strict=True)) if beside is not None else {}
    failed = {found.images[i]: (name, why) for i, name, why in found.beside.failed}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(found.files):
        rows.setdefault(name, []).append(row)
    missing = []
    for name, mine in rows.items():
        own = [text for row in mine for text in texts[row]]
        other = other_captions.get(name)
        if own and other and not agree(own, other):
            raise FileError(
                f"{_shown(found)} and a file beside {name} hold different captions; select one with"
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


def _shown(found: Layout) -> str:
    """The metadata files, in a few words."""
    files = found.metadata.files if found.metadata is not None else []
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}" if files else ""


def _classified(found: Layout) -> Source | None:
    """Images with classes, from the metadata, .json or .cls files."""
    columns, table = found.columns, found.table.columns
    if columns.label == NONE:
        return None
    selected = columns.label.removeprefix(".") if columns.label else None
    names = None
    if CLASS in found.beside.files:
        names = class_names(found.tree.folder)
    candidates = [key for key in table if key != FILE]
    label = column(candidates, ("cls", *LABELS) if names else (*LABELS, "cls"), selected, "classes")
    if label is None:
        return None
    if label != "cls":
        names = None
    held = [value for value in table[label] if not is_null(value)]
    if selected is None and not all(isinstance(value, str | int) for value in held):
        return None
    if selected is None and not any(value is not None for value in plain(held)):
        found.notes.append(f"{label!r} holds no class")
        return None
    notes = []
    if names is None and numbers(held):
        if selected is None:
            found.notes.append(
                f"{label!r} holds numbers (--label-column {label}: as classes, called by their"
                f" numbers; {CLASS_NAMES} can name them)"
            )
            return None
        notes.append("the classes are named by their numbers")
    factors, unused = factors_of(table, columns, [FILE, label])
    found.took(label, *factors)
    rows = [(name, value) for name, value in zip(found.files, table[label], strict=True)]
    source = gather_classes(
        str(found.tree.folder),
        found.tree.folder,
        rows,
        names=names,
        kind=found.kind,
        factors=factors,
        what=f".cls files and {CLASS_NAMES}" if names else repr(label),
    )
    where = ".cls files" if label == "cls" else repr(label)
    return replace(source, rule=f"classes in {where}", notes=tuple(notes), unused_columns=unused)


def _class_folders(found: Layout) -> Source | None:
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


def _alone(found: Layout) -> Source:
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


def _image_factors(found: Layout) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Factors of each image, from all rows that describe it."""
    factors, unused = factors_of(found.table.columns, found.columns, [FILE])
    found.took(*factors)
    source = gather(
        "",
        found.tree.folder,
        [(name, ()) for name in found.files],
        kind=found.kind,
        factors=factors,
    )
    assert source.media is not None  # noqa: S101 - set by gather
    place = {name: i for i, name in enumerate(source.media.names)}
    order = [place[name] for name in found.images]
    return {key: [values[i] for i in order] for key, values in source.factors.items()}, unused
