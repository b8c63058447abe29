"""Sources whose images have a class each: from lists, from folders, from CoOp's splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from modalgap.data.media import IMAGES, Files, Media
from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.walk import ending_of, walk
from modalgap.errors import FileError, quoted
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
    """A source of image files with classes.

    Args:
        folder: where the paths start.
        items: (path, number of its class) of each image.
        classes: the names of all classes, as they go into a prompt.

    Raises:
        FileError: no items.
    """
    found = list(items)
    return labelled_media(
        Files.under(folder, [name for name, _ in found]), [label for _, label in found], classes
    )


def labelled_media(media: Media, labels: Sequence[int], classes: Sequence[str]) -> Source:
    """A source of any media with classes.

    Raises:
        FileError: no items, or two classes of one name.
    """
    if not len(media):
        raise FileError("must list at least one image; found none")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise FileError(f"classes must have names of their own; {quoted(twice)} is there twice")
    return Source(name="", media=media, texts=list(classes), labels=np.asarray(labels, np.int64))


def class_folders(
    folder: Path,
    classes: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    endings: frozenset[str] = IMAGES,
) -> Source:
    """A source from a folder that holds one folder of images a class.

    Args:
        folder: holds the folders of classes.
        classes: folders to take, in the order of their labels; by default all, sorted.
        names: what to call the classes; by default the folder names as words.
        endings: of the files to take.
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

    Hidden ones are left out, and what lies in the folder of an unfinished run. A folder that is not
    there has none.
    """
    if not folder.is_dir():
        return []
    names = walk(folder).files
    return [folder / name for name in names if ending_of(name) in endings]


def zhou_file(folder: Path) -> Path | None:
    """The ``split_zhou_*.json`` of CoOp in a data set's folder, if there is one."""
    return next(iter(sorted(folder.glob("split_zhou_*.json"))), None)


def zhou(folder: Path, images: str, split: str) -> Source:
    """One split as CoOp's authors drew it (Zhou et al. 2022, Learning to prompt).

    Args:
        folder: the data set's folder, with the file in it.
        images: the folder in it that the file's paths start from.
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
