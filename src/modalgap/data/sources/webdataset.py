"""Tar shards as webdataset and img2dataset write them: members of one name belong together.

Nothing is extracted: headers are read, and a member's bytes are read where they lie.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from modalgap.data.media import IMAGES, SOUNDS, Kind, Spans
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.errors import FileError
from modalgap.progress import progress

LARGEST_CAPTION = 2**20  # bytes
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")


@dataclass
class _Found:
    """What the shards hold, as it is found."""

    spans: list[tuple[int, int, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    captions: list[str | None] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def read_shards(shards: Sequence[Path], root_name: str) -> Source:
    """Images with the captions of the same name: from ``.txt``, or ``caption`` in ``.json``.

    Args:
        shards: tar archives, in order.
        root_name: what to call them together.

    Raises:
        FileError: a shard is not a whole tar archive, or there are no images.
    """
    found = _Found()
    with progress("reading shards", len(shards)) as advance:
        for number, shard in enumerate(shards):
            with reading(str(shard)):
                _scan(shard, number, found)
            advance(1)
    if len(found.kinds) > 1:
        raise FileError(f"{root_name}: must hold images or sounds; found both")
    kind: Kind = "audio" if found.kinds == {"audio"} else "image"
    media = Spans(list(shards), np.array(found.spans, np.int64).reshape(-1, 3), found.names, kind)
    owners = [i for i, caption in enumerate(found.captions) if caption is not None]
    texts = [caption for caption in found.captions if caption is not None]
    return Source(
        name=root_name,
        media=media,
        texts=texts or None,
        text_to_image=np.array(owners, np.int64) if texts else None,
        modality=kind,
        missing=tuple(found.missing),
    )


def _scan(shard: Path, number: int, found: _Found) -> None:
    """Add the samples of one shard."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    end = 0
    with shard.open("rb") as raw:
        if raw.read(6).startswith(COMPRESSED):
            raise FileError("must be a plain archive; it is compressed")
    with tarfile.open(shard, "r:") as archive, shard.open("rb") as raw:
        for member in archive:
            end = archive.offset
            folder, _, last = member.name.rpartition("/")
            stem, dot, ending = last.partition(".")
            if not stem or not dot:
                continue  # hidden files, files without an ending
            if not member.isreg() or member.issparse():  # folders and devices hold no sample
                if member.islnk() or member.issym() or member.issparse():
                    why = "a sparse file" if member.issparse() else "a link, not a file"
                    found.missing.append((f"{shard.name}/{member.name}", why))
                continue
            key = f"{folder}/{stem}" if folder else stem
            parts = samples.setdefault(key, {})
            if ending.lower() in parts:
                found.missing.append((f"{shard.name}/{member.name}", "a second file of that name"))
                continue
            parts[ending.lower()] = (member.offset_data, member.size)
        raw.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if raw.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # how an archive ends
            found.missing.append((shard.name, "the archive is cut short: the rest is not there"))
        elif any(block.strip(tarfile.NUL) for block in iter(lambda: raw.read(2**20), b"")):
            found.missing.append((shard.name, "there is more after the end of the archive"))
        for key, parts in samples.items():
            name = f"{shard.name}/{key}"
            media = [e for e in parts if f".{e}" in IMAGES or f".{e}" in SOUNDS]
            if len(media) != 1:
                if media or "txt" in parts:
                    what = "two images" if media else "a caption without an image"
                    found.missing.append((name, what))
                continue
            found.kinds.add("audio" if f".{media[0]}" in SOUNDS else "image")
            found.spans.append((number, *parts[media[0]]))
            found.names.append(f"{name}.{media[0]}")
            try:
                found.captions.append(_caption(raw, parts))
            except (
                FileError,
                ValueError,
                RecursionError,
            ) as error:  # its image stays, without a caption
                found.captions.append(None)
                reason = str(error) if isinstance(error, FileError) else "its .json is not JSON"
                found.missing.append((f"{name}, caption", reason))


def _caption(raw: IO[bytes], parts: dict[str, tuple[int, int]]) -> str | None:
    for ending in ("txt", "json"):
        if ending not in parts:
            continue
        start, size = parts[ending]
        if size > LARGEST_CAPTION:
            raise FileError(f"must have at most {LARGEST_CAPTION} bytes; has {size}")
        raw.seek(start)
        text = raw.read(size).decode("utf-8", errors="replace")
        if ending == "txt":
            return str(text)
        value = json.loads(text)
        caption = value.get("caption") if isinstance(value, dict) else None
        if isinstance(caption, str):
            return caption
    return None
