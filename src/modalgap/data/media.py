"""Media: images, sounds or documents by position; small objects that open files on demand.

A medium returns the stored form, usually bytes; ``pixels.decode`` and ``sound.decode`` turn it into
model inputs. Everything here can be pickled, for the workers that decode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from modalgap.arguments import checked
from modalgap.errors import FileError, InputError

Kind = Literal["image", "audio", "text"]
Box = tuple[float, float, float, float]  # left, upper, right, lower

LARGEST = 2**30  # maximum bytes of one item
IMAGES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".jp2",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
    ]
)
"""Endings of images; ``plugins`` says which of them need more than Pillow."""

SOUNDS = frozenset([".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus"])


@runtime_checkable
class Media(Protocol):
    """Items by position."""

    @property
    def kind(self) -> Kind:
        """The kind of the items; it determines which tower of a model encodes them."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """One name per item, for messages and lists."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def __getitem__(self, position: int) -> bytes | str | Image.Image:
        """The item stored at ``position``: bytes of a file, a document, or pixels.

        Raises:
            FileError: it cannot be read; the item is then skipped, with this reason.
        """
        ...


@checked
@dataclass(frozen=True, eq=False)
class Files:
    """Files of images or sounds.

    Args:
        paths: the files.
        names: their names, for instance paths relative to a folder.
        kind: kind of the items.
    """

    paths: Sequence[Path]
    names: Sequence[str]
    kind: Kind = "image"

    @classmethod
    def under(cls, folder: Path, names: Sequence[str], kind: Kind = "image") -> Files:
        """The files ``names``, relative to ``folder``."""
        return cls([folder / name for name in names], list(names), kind)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> bytes:
        return read_file(self.paths[position])


@dataclass(frozen=True, eq=False)
class Spans:
    """Items stored one after another in larger files, such as the members of tar archives.

    Args:
        archives: the larger files.
        spans: (n, 3) integers: which archive, first byte, number of bytes.
        names: one per item.
    """

    archives: Sequence[Path]
    spans: NDArray[np.int64]
    names: Sequence[str]
    kind: Kind = "image"

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, position: int) -> bytes:
        archive, start, size = map(int, self.spans[position])
        _check_size(size)
        try:
            with self.archives[archive].open("rb") as file:
                file.seek(start)
                result = file.read(size)
        except OSError as error:
            raise FileError(f"cannot be read ({error.strerror})") from error
        if len(result) < size:
            raise FileError(f"must have {size} bytes; the archive ends after {len(result)}")
        return result


@checked
@dataclass(frozen=True, eq=False)
class Pixels:
    """Images as arrays: (n, h, w) or (n, h, w, 3) unsigned bytes.

    Raises:
        InputError: another shape or type, or not one name per image.
    """

    array: NDArray[np.uint8]
    names: Sequence[str]
    kind: Kind = "image"

    def __post_init__(self) -> None:
        found = self.array
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8:
            what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
            raise InputError(f"pixels: must be an array of unsigned bytes; got {what}")
        if found.ndim != 3 and (found.ndim != 4 or found.shape[3] != 3):
            raise InputError(f"pixels: must be (n, h, w) or (n, h, w, 3); got {found.shape}")
        if len(self.names) != len(found):
            raise InputError(
                f"pixels: must have one name per image; got {len(self.names)} for {len(found)}"
            )

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, position: int) -> Image.Image:
        return Image.fromarray(self.array[position])


@checked
@dataclass(frozen=True, eq=False)
class Documents:
    """Texts as the first side of a pair, for instance the corpus that queries search."""

    texts: Sequence[str]
    names: Sequence[str]
    kind: Kind = "text"

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, position: int) -> str:
        return self.texts[position]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a table that a library reads: ``read(position)`` returns bytes or an image.

    Args:
        read: a picklable function, called in the workers.
        files: the files of the table.
    """

    read: Callable[[int], Any]
    names: Sequence[str]
    kind: Kind = "image"
    files: Sequence[Path] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> bytes | Image.Image:
        found = self.read(position)
        if not isinstance(found, bytes | Image.Image):
            raise FileError(f"must hold bytes; found {type(found).__name__}")
        if isinstance(found, bytes):
            _check_size(len(found))
        return found


@dataclass(frozen=True, eq=False)
class Chosen:
    """A selection of the items of a medium, in any order; with ``boxes``, cropped.

    Args:
        media: the medium.
        index: (k,) positions in ``media``.
        boxes: maps a position in ``index`` to the part of the image to keep.
    """

    media: Media
    index: NDArray[np.int64]
    names: Sequence[str] = field(init=False)
    kind: Kind = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", [self.media.names[i] for i in self.index])
        object.__setattr__(self, "kind", self.media.kind)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, position: int) -> bytes | str | Image.Image:
        return self.media[int(self.index[position])]


@dataclass(frozen=True, eq=False)
class Cropped:
    """Images cropped to a part.

    Args:
        media: the whole images.
        boxes: one per image: left, upper, right, lower in pixels, or None for the whole image.
    """

    media: Media
    boxes: Sequence[Box | None]
    names: Sequence[str] = field(init=False)
    kind: Kind = "image"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", self.media.names)

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, position: int) -> bytes | str | Image.Image:
        from modalgap.data.pixels import decode

        result, box = self.media[position], self.boxes[position]
        if box is None or isinstance(result, str):
            return result
        image = decode(result)
        left, upper, right, lower = (round(edge) for edge in box)
        left, upper = max(left, 0), max(upper, 0)
        right, lower = min(right, image.width), min(lower, image.height)
        if right <= left or lower <= upper:
            raise FileError(f"its box {box} is outside its {image.width} x {image.height} pixels")
        return image.crop((left, upper, right, lower))


def state(media: Media) -> Iterator[str]:
    """Strings that change when the items change: names, and size and time of files."""
    yield from media.names
    if isinstance(media, Chosen):
        yield str(media.index.tolist())
    elif isinstance(media, Cropped):
        yield str(list(media.boxes))
    if isinstance(media, Chosen | Cropped):
        yield from state(media.media)
        return
    if isinstance(media, Spans):
        yield str(media.spans.tolist())
    elif isinstance(media, Documents):
        yield from media.texts
    elif isinstance(media, Pixels):
        yield xxhash.xxh3_128_hexdigest(np.ascontiguousarray(media.array).data)
    for path in files_of(media):
        try:
            found = path.stat()
        except (OSError, ValueError):
            yield "none"
        else:
            yield f"{found.st_size} {found.st_mtime_ns}"


def hash_of(values: Iterable[str]) -> str:
    """A hash of strings and their order."""
    digest = xxhash.xxh3_128()
    for value in values:
        digest.update(value.encode(errors="surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def files_of(media: Media | None) -> Sequence[Path]:
    """The files that the items are read from, if known."""
    while isinstance(media, Chosen | Cropped):
        media = media.media
    if isinstance(media, Files):
        return media.paths
    if isinstance(media, Spans):
        return media.archives
    return media.files if isinstance(media, Cells) else ()


def read_file(path: Path) -> bytes:
    """The bytes of a regular file of at most 1 GiB; pipes and devices are never opened."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FileError("must be a regular file")
        _check_size(found.st_size)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"found no {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, FileError):
            raise
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise FileError(str(reason)) from error


def _check_size(size: int) -> None:
    if size == 0:
        raise FileError("an empty file")
    if size > LARGEST:
        raise FileError(f"must have at most {LARGEST} bytes; has {size}")
