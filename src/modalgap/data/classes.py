"""Sources of images with one class per image: from lists, folders, and the splits of CoOp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from modalgap.data.media import IMAGES, Files, Media
from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.walk import ending_of, walk
from modalgap.errors import FileError, OptionError, quoted
from modalgap.work import is_unfinished

PLAIN = ("a photo of a {}.",)


def readable(name: str) -> str:
    """A folder name as words: ``air_plane`` is "air plane"."""
    return " ".join(name.replace("_", " ").split())


def labelled(
    folder: Path,
    items: Iterable[tuple[str, int]],
    classes: Sequence[str],
) -> Source:
    """Build a source of image files with classes.

    Args:
        folder: the folder that the paths are relative to.
        items: (path, number of its class) of each image.
        classes: names of all classes, as used in a prompt.

    Raises:
        FileError: there are no items.
    """
    found = list(items)
    return labelled_media(
        Files.under(folder, [name for name, _ in found]), [label for _, label in found], classes
    )


def labelled_media(media: Media, labels: Sequence[int], classes: Sequence[str]) -> Source:
    """Build a source of any media with classes.

    Raises:
        FileError: there are no items, or two classes have the same name.
    """
    if not len(media):
        raise FileError("must list at least one image; found none")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise FileError(f"classes must have distinct names; {quoted(twice)} occurs twice")
    return Source(name="", media=media, texts=list(classes), labels=np.asarray(labels, np.int64))


def by_factor(source: Source, name: str) -> Source:
    """The same images; their classes are the values of a factor.

    Args:
        source: images with factors.
        name: the factor.

    Raises:
        OptionError: the images have no such factor.
    """
    if name not in source.factors:
        raise OptionError.unknown(f"label column of {source.name}", name, source.factors)
    values = [str(each) for each in source.factors[name]]
    classes = sorted(set(values))
    number = {each: i for i, each in enumerate(classes)}
    return replace(
        source,
        texts=classes,
        labels=np.array([number[each] for each in values], np.int64),
        text_to_image=None,
        pairs=None,
        text_factors={name: classes},
        templates=source.templates or PLAIN,
        provenance={**source.provenance, "classes": name},
    )


def class_folders(
    folder: Path,
    classes: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    endings: frozenset[str] = IMAGES,
) -> Source:
    """Build a source from a folder that holds one folder of images per class.

    Args:
        folder: the folder that holds the folders of classes.
        classes: the folders to read, in the order of their labels; by default all, sorted.
        names: names of the classes; by default the folder names as words.
        endings: file extensions to read.
    """
    if classes is None:
        classes = [each.name for each in folders_in(folder)]
    if names is None:
        names = [readable(each) for each in classes]
        if len(set(names)) < len(names):
            names = list(classes)
    items = [
        (str(path.relative_to(folder)), label)
        for label, each in enumerate(classes)
        for path in files_under(folder / each, endings)
    ]
    return labelled(folder, items, names)


def files_under(folder: Path, endings: frozenset[str] = IMAGES) -> list[Path]:
    """Files with one of ``endings`` anywhere under ``folder``, links followed, sorted.

    Hidden files and files in the folder of an unfinished run are excluded. The result is empty if
    the folder does not exist.
    """
    if not folder.is_dir():
        return []
    names = walk(folder).files
    return [folder / name for name in names if ending_of(name) in endings]


def zhou_file(folder: Path) -> Path | None:
    """The ``split_zhou_*.json`` of CoOp in a data set's folder, if there is one."""
    return next(iter(sorted(folder.glob("split_zhou_*.json"))), None)


def zhou(folder: Path, images: str, split: str) -> Source:
    """One split of CoOp (Zhou et al. 2022, Learning to prompt).

    Args:
        folder: the folder of the data set, which holds the split file.
        images: the folder in it that the paths of the file are relative to.
        split: train, val or test.
    """
    path = zhou_file(folder)
    if path is None:
        raise FileError(f"{folder}: needs split_zhou_*.json; found none")
    splits = load_json(path)
    with reading(str(path)):
        names: dict[int, str] = {}
        for rows in splits.values():
            for _, label, name in rows:
                if names.setdefault(int(label), str(name)) != name:
                    raise FileError(f"class {label} must have one name; it has two")
        number = {label: i for i, label in enumerate(sorted(names))}
        items = [(str(image), number[int(label)]) for image, label, _ in splits[split]]
        classes = [readable(names[label]) for label in sorted(names)]
        found = labelled(folder / images, items, classes)
    return replace(found, provenance={"split_file": path.name})


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in ``folder``, sorted; without hidden ones and unfinished runs."""
    try:
        return sorted(
            each
            for each in folder.iterdir()
            if each.is_dir() and not each.name.startswith(".") and not is_unfinished(each)
        )
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({error.strerror})") from error
