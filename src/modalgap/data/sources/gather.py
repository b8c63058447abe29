"""Rows of (image, caption) gathered into a source: each image once, its captions beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from modalgap.data.media import Files, Kind
from modalgap.data.source import Source


def gather(
    name: str,
    folder: Path,
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    kind: Kind = "image",
    missing: Sequence[tuple[str, str]] = (),
) -> Source:
    """A source of files and their captions; rows of one file are one image with all its captions.

    Args:
        name: what to call the source.
        folder: where relative paths start.
        rows: (path, captions); a file may have none.
        kind: what the files hold.
        missing: what was left out already.

    Files that are not on the disk stay in: the encoder skips them by name, with their captions.
    """
    position: dict[str, int] = {}
    texts: list[str] = []
    owner: list[int] = []
    for path, captions in rows:
        image = position.setdefault(path, len(position))
        texts += captions
        owner += [image] * len(captions)
    media = Files.under(folder, list(position), kind)
    if not texts:
        return Source(name=name, media=media, modality=kind, missing=tuple(missing))
    return Source(
        name=name,
        media=media,
        texts=texts,
        text_to_image=np.asarray(owner, np.int64),
        modality=kind,
        missing=tuple(missing),
    )
