"""Data and encoders that the tests of encoding share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalgap.encode import Encoded, Options
from modalgap.encode import run as work


def run(source: Any, encoder: Any, path: Any = None, **options: Any) -> Encoded:
    """``modalgap.encode.run`` with its options beside it."""
    return work(source, encoder, path, Options(**options))


def picture(number: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    values = np.random.default_rng(number).integers(0, 255, (*size, 3), np.uint8)
    return Image.fromarray(values)


def folder_of(path: Path, count: int, captions: int = 2) -> Path:
    """Images of noise with captions that name their number."""
    path.mkdir(exist_ok=True)
    for i in range(count):
        picture(i).save(path / f"{i:03d}.png")
        said = [f"image {i:03d} {'bad' * j} {'face ' * (i % 7)}" for j in range(captions)]
        (path / f"{i:03d}.txt").write_text("\n".join(said))
    return path


def number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit())[:3])


class Numbered:
    """Images by number; bytes stand for a file that is no image."""

    kind = "image"

    def __init__(self, stored: list[Any]) -> None:
        self.stored = stored
        self.names = [f"{i:03d}.png" for i in range(len(stored))]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, position: int) -> Any:
        found = self.stored[position]
        return found if isinstance(found, bytes) else picture(found)


def stored(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()
