"""Code that several data sets share."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from modalgap.data.classes import class_folders
from modalgap.data.dataset import Dataset
from modalgap.data.imagenet import names
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.errors import FileError, quoted
from modalgap.files import check_expansion

COMPRESSED = 15  # kind of an element of a .mat file
BLOCK = 2**20  # bytes that are decompressed at once


class Placed(Dataset):
    """A data set whose folder has several common names, such as torchvision's and CoOp's."""

    folders: ClassVar[tuple[str, ...]]
    """Other names of ``card.folder``; the first folder with the expected files is used."""

    def folder(self, root: Path) -> Path:
        for enough in (all, any):  # another data set can have a folder of the same name
            for each in (self.card.folder, *self.folders):
                place = root / each
                if self._has_zhou(place) or any(
                    enough(next(place.glob(need), None) for need in self.needs(split))
                    for split in self.card.splits
                ):
                    return place
        return super().folder(root)


def every_class(source: Source) -> Source:
    """Check that every class has an image: otherwise a mean over classes would be misleading.

    Raises:
        FileError: a class has none.
    """
    texts = source.texts or ()
    # the source itself checks for labels beyond the classes
    empty = np.flatnonzero(np.bincount(np.asarray(source.labels), minlength=len(texts)) == 0)
    if len(empty):
        rest = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise FileError(f"every class must have an image; {quoted(texts[empty[0]])}{rest} has none")
    return source


def wnid_folders(
    folder: Path, wnids: Sequence[str], folders: Sequence[str] | None = None
) -> Source:
    """Build a source of ImageNet classes from one folder of images per class.

    Args:
        folder: a folder that holds the folders of classes.
        wnids: the classes, in the order of their labels.
        folders: folders of these classes, if their names are not the wnids.
    """
    called = names()
    found = every_class(class_folders(folder, folders or wnids, wnids))
    return replace(found, texts=[called[each] for each in wnids])


@cache
def listed(name: str) -> tuple[str, ...]:
    """The lines of a list in this folder."""
    text = files("modalgap.data.sets").joinpath(name).read_text(encoding="utf-8")
    return tuple(text.splitlines())


def camel_words(name: str) -> str:
    """``ApplyEyeMakeup`` as "apply eye makeup"."""
    return " ".join(re.findall("[A-Z][^A-Z]*", name)).lower()


def matlab(path: Path) -> dict[str, Any]:
    """Read the variables of a .mat file.

    Raises:
        FileError: it is damaged, or a small file with very large variables.
    """
    from scipy.io import loadmat

    with reading(str(path)):
        _check_variables(path)
        result: dict[str, Any] = loadmat(str(path), squeeze_me=True)
        return result


def _check_variables(path: Path) -> None:
    """Decompress the variables of a .mat file of version 5 part by part, to learn their size.

    Raises:
        FileError: as ``check_expansion``.
    """
    size, wanted = path.stat().st_size, 0
    with path.open("rb") as file:
        order: Literal["big", "little"] = "big" if file.read(128)[126:] == b"MI" else "little"
        while len(tag := file.read(8)) == 8:
            kind, left = (int.from_bytes(tag[i : i + 4], order) for i in (0, 4))
            if kind != COMPRESSED:
                file.seek(left, io.SEEK_CUR)
                continue
            stream, rest = zlib.decompressobj(), b""
            while left > 0 and (rest or (rest := file.read(min(left, BLOCK)))):
                left -= len(rest)
                found = stream.decompress(rest, BLOCK)
                rest = stream.unconsumed_tail
                left += len(rest)
                wanted += len(found)
                check_expansion(path, size, wanted)
                if stream.eof:
                    break
            file.seek(left - len(rest), io.SEEK_CUR)


def whole(values: Any, what: str) -> NDArray[np.int64]:
    """A flat array of whole numbers; fractions, text and booleans are errors."""
    found = np.atleast_1d(np.asarray(values))
    if found.dtype.hasobject:
        found = np.asarray(found.tolist())
    kept = found.astype(np.int64) if found.dtype.kind in "iuf" else None
    if found.ndim != 1 or kept is None or not np.array_equal(kept, found):
        raise FileError(f"{what} must be whole numbers; found {found.dtype} {found.shape}")
    return kept
