"""Build a source from rows of a file and its captions, or of a file and its class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.data.classes import PLAIN, labelled_media
from modalgap.data.labels import numbers, plain, read_labels, words
from modalgap.data.media import SOUNDS, Files, Kind
from modalgap.data.names import Names
from modalgap.data.plugins import lacking
from modalgap.data.source import Source
from modalgap.data.walk import ending_of
from modalgap.errors import FileError, quoted

Lost = tuple[str, str]
Factors = Mapping[str, Sequence[Any]]


def gather(
    name: str,
    folder: Path,
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    kind: Kind | None = None,
    missing: Sequence[Lost] = (),
    factors: Factors | None = None,
) -> Source:
    """Build a source of files and captions; rows of one file are one image with all its captions.

    Args:
        name: name of the source.
        folder: the folder that relative paths start from.
        rows: (path, captions); a file may have none.
        kind: kind of the files; by default sounds if all their names have sound extensions.
        missing: items that were already left out.
        factors: maps a name to one value per row. A factor that is constant over the rows of every
            image becomes a factor of the images, any other a factor of the captions.

    Files that do not exist are kept: the encoder skips them by name, with their captions.

    Raises:
        FileError: both images and sounds, or a factor that differs between rows of an image without
            captions.
    """
    files = _Files(folder)
    texts: list[str] = []
    owner: list[int] = []
    text_row: list[int] = []
    image_of: list[int | None] = []
    for number, (path, captions) in enumerate(rows):
        image = files.position(path)
        image_of.append(image)
        if image is None:
            continue
        texts += captions
        owner += [image] * len(captions)
        text_row += [number] * len(captions)
    result = Source(
        name=name,
        media=files.media(kind),
        texts=texts or None,
        text_to_image=np.asarray(owner, np.int64) if texts else None,
        modality=files.kind(kind),
        missing=(*missing, *files.lost),
    )
    of_image, of_text = _split(factors or {}, image_of, len(files), text_row)
    if not of_image and not of_text:
        return result
    order = np.argsort(np.asarray(owner, np.int64), kind="stable")  # the source's order of texts
    return replace(
        result,
        factors=of_image,
        text_factors={key: [values[i] for i in order] for key, values in of_text.items()},
    )


def gather_classes(
    name: str,
    folder: Path,
    rows: Sequence[tuple[str, Any]],
    *,
    names: Sequence[str] | None = None,
    kind: Kind | None = None,
    missing: Sequence[Lost] = (),
    factors: Factors | None = None,
    what: str = "classes",
) -> Source:
    """Build a source as ``gather``, from files with one class each.

    Args:
        name: as for ``gather``.
        folder: as for ``gather``.
        rows: (path, class); rows without a class are left out and listed.
        names: names of the classes, if the rows hold numbers; without them a number is the name.
        kind: as for ``gather``.
        missing: as for ``gather``.
        factors: as for ``gather``; all are factors of the images.
        what: origin of the classes, for messages.

    Raises:
        FileError: as for ``gather``, or two classes for one file.
    """
    values = plain([value for _, value in rows])
    if names is None and (numbers(values) or any(isinstance(each, int) for each in values)):
        values = [None if each is None else str(each) for each in values]
    read = read_labels(values, names, what)
    labels: list[int | None] = [None] * len(rows)
    for row, label in zip(read.kept.tolist(), read.labels.tolist(), strict=True):
        labels[row] = label
    classes = words(read.classes)
    files = _Files(folder)
    kept: list[int] = []
    image_of: list[int | None] = []
    for (path, _), label in zip(rows, labels, strict=True):
        image = files.position(path) if label is not None else None
        image_of.append(image)
        if image is None or label is None:
            continue
        if image == len(kept):
            kept.append(label)
        elif kept[image] != label:
            both = f"{classes[kept[image]]} and {classes[label]}"
            raise FileError(f"{name}: {path[:200]} has two classes, {both}")
    if not kept:
        raise FileError(f"{name}: must have a class for at least one file; found none")
    found = labelled_media(files.media(kind), kept, classes)
    of_image, _ = _split(factors or {}, image_of, len(files), [])
    return replace(
        found,
        name=name,
        factors=of_image,
        templates=PLAIN,
        modality=files.kind(kind),
        missing=(*missing, *((rows[row][0], why) for row, why in read.missing), *files.lost),
        notes=tuple(read.notes),
    )


class _Files:
    """Distinct files by position; files that need a missing plug-in are left out and listed."""

    def __init__(self, folder: Path) -> None:
        self._names = Names(folder)
        self._paths: dict[Path, int] = {}
        self._called: list[str] = []
        self._seen: dict[str, int | None] = {}
        self.lost: list[Lost] = []

    def __len__(self) -> int:
        return len(self._called)

    def position(self, name: str) -> int | None:
        if name in self._seen:
            return self._seen[name]
        result = self._position(name)
        self._seen[name] = result
        return result

    def _position(self, name: str) -> int | None:
        if lacks := lacking(ending_of(name)):
            self.lost.append((name, lacks))
            return None
        path = self._names.path(name)
        if path not in self._paths:
            self._paths[path] = len(self._called)
            self._called.append(name)
        return self._paths[path]

    def kind(self, kind: Kind | None) -> Kind:
        if kind is not None:
            return kind
        sounds = sum(ending_of(path.name) in SOUNDS for path in self._paths)
        if 0 < sounds < len(self._called):
            other = len(self._called) - sounds
            raise FileError(f"must list images or sounds; found {other} and {sounds}")
        return "audio" if sounds else "image"

    def media(self, kind: Kind | None) -> Files:
        return Files(list(self._paths), self._called, self.kind(kind))


def _split(
    factors: Factors, image_of: Sequence[int | None], n: int, text_row: Sequence[int]
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Factors of images and factors of captions."""
    of_image: dict[str, list[Any]] = {}
    of_text: dict[str, list[Any]] = {}
    for key, values in factors.items():
        first: dict[int, Any] = {}
        constant = True
        for image, value in zip(image_of, values, strict=True):
            if image is not None and first.setdefault(image, value) != value:
                constant = False
                break
        if constant:
            of_image[key] = [first[image] for image in range(n)]
        elif text_row:
            of_text[key] = [values[row] for row in text_row]
        else:
            raise FileError(
                f"--factors: column {quoted(key)} differs between rows of one image, and there are"
                " no captions that it could belong to"
            )
    return of_image, of_text
