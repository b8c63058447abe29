"""Group the members of tar archives into samples, and find the image of each.

The rules are webdataset's: the key of a sample is the path up to the first dot of the last name,
and the rest is the extension, in lower case. Nothing is extracted.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modalgap.data.columns import NONE, Columns
from modalgap.data.media import IMAGES, SOUNDS
from modalgap.errors import FileError

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
Part = tuple[int, int]  # first byte, number of bytes


@dataclass
class Left:
    """Members that are not read.

    Attributes:
        missing: (name, reason) of items that the shards list but do not have.
        unused: (name, reason) of single members.
        endings: number of members per extension that no column reads.
    """

    missing: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)


def samples(shard: Path, left: Left) -> dict[str, dict[str, Part]]:
    """The samples of a shard: maps a key to extension to position.

    Raises:
        FileError: the archive is compressed, or the size of a member is negative.
        tarfile.TarError: it is not an archive.
    """
    result: dict[str, dict[str, Part]] = {}
    end = 0
    with shard.open("rb") as raw:
        if raw.read(6).startswith(COMPRESSED):
            raise FileError("must be a plain archive; it is compressed")
    with tarfile.open(shard, "r:") as archive, shard.open("rb") as raw:
        for member in archive:
            if member.size < 0:  # the next member would be this one again
                raise FileError("must have members of a size from 0 on; one has less")
            end = archive.offset
            if member.isdir():
                continue
            name = printable(member.name).removeprefix("./")
            folder, _, last = name.rpartition("/")
            stem, _, ending = last.partition(".")
            whole = f"{shard.name}/{name}"
            if not member.isreg() or member.issparse():
                left.missing.append((whole, _special(member)))
                continue
            if not stem or not ending:
                why = "a hidden member" if not stem else "a member without an extension"
                left.unused.append((whole, why))
                continue
            parts = result.setdefault(f"{folder}/{stem}" if folder else stem, {})
            if ending.lower() in parts:
                left.missing.append((whole, "a second file of that name"))
                continue
            parts[ending.lower()] = (member.offset_data, member.size)
        raw.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if raw.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # the end of an archive
            left.missing.append((shard.name, "the archive is truncated: the rest is missing"))
        elif any(block.strip(tarfile.NUL) for block in iter(lambda: raw.read(2**20), b"")):
            left.missing.append((shard.name, "there is more after the end of the archive"))
    return result


def image_of(parts: dict[str, Part], columns: Columns) -> list[str]:
    """The extension of a sample's image or sound; several if it is ambiguous.

    An extension with one part has priority over two, such as ``seg.png`` or ``left.jpg``.
    """
    media = [each for each in parts if is_medium(each)]
    if columns.image not in (None, NONE):
        wanted = [each.strip().lower().lstrip(".") for each in str(columns.image).split(";")]
        return [each for each in wanted if each in parts][:1]
    plain = [each for each in media if "." not in each]
    return plain or media


def is_medium(ending: str) -> bool:
    """Whether an extension belongs to images or sounds."""
    last = f".{ending.rpartition('.')[2]}"
    return last in IMAGES or last in SOUNDS


def is_sound(ending: str) -> bool:
    """Whether an extension belongs to sounds."""
    return f".{ending.rpartition('.')[2]}" in SOUNDS


def caption_endings(parts: dict[str, Part], image: str) -> Iterator[str]:
    """The extensions that may hold the caption of an image, most specific first."""
    prefix = image.rpartition(".")[0]
    if prefix:
        yield f"{prefix}.txt"
    yield from ("txt", "caption", "captions", "text", "caption.txt", "captions.txt", "text.txt")
    others = [each for each in parts if each.endswith(".txt")]
    if len(others) == 1:
        yield others[0]


def printable(name: str) -> str:
    """A name with escapes for the bytes in it that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _special(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "a sparse file"
    return "a link, not a file" if member.islnk() or member.issym() else "a device, not a file"
