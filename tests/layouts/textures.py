"""Layouts of DTD."""

from __future__ import annotations

from pathlib import Path

from layouts.drawing import draw, write


def dtd(folder: Path) -> None:
    for i, name in enumerate(("banded/banded_1.jpg", "polka-dotted/polka-dotted_2.jpg")):
        draw(folder / "images" / name, i)
    write(folder / "labels" / "test1.txt", "banded/banded_1.jpg\npolka-dotted/polka-dotted_2.jpg\n")


BUILD = {"dtd": dtd}
