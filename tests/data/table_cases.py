"""Tables."""

from __future__ import annotations

import json
from pathlib import Path

from layouts.drawing import write

from modalgap.data import Source


def names(source: Source) -> list[str]:
    assert source.media is not None
    return list(source.media.names)


def captions(source: Source) -> list[tuple[str, str]]:
    assert source.texts is not None
    owner = range(len(source.texts)) if source.text_to_image is None else source.text_to_image
    return [(names(source)[int(i)], text) for i, text in zip(owner, source.texts, strict=True)]


def lines(path: Path, rows: list[object]) -> Path:
    write(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    return path
