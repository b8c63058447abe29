"""Folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from layouts.drawing import draw

from modalgap.data import Source


def names(source: Source) -> list[str]:
    assert source.media is not None
    return list(source.media.names)


def captions(source: Source) -> list[tuple[str, str]]:
    assert source.texts is not None
    owner = range(len(source.texts)) if source.text_to_image is None else source.text_to_image
    return [(names(source)[int(i)], text) for i, text in zip(owner, source.texts, strict=True)]


def classes(source: Source) -> list[tuple[str, str]]:
    assert source.texts is not None
    assert source.labels is not None
    return [
        (name, source.texts[int(i)])
        for name, i in zip(names(source), np.asarray(source.labels), strict=True)
    ]


def three(folder: Path) -> None:
    for i in range(3):
        draw(folder / f"{i}.png", i)
