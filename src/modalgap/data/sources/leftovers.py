"""Describe files in a folder of images that are not read, and how to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modalgap.data.sources.names import CAPTIONS
from modalgap.data.sources.table import CLASS_NAMES, PATHS
from modalgap.data.tables import ENDINGS as TABLES
from modalgap.data.tables import header_of
from modalgap.data.walk import ending_of

SOURCES = (*TABLES, ".parquet", ".tar")


@dataclass
class Leftover:
    """Files that are not read: name and reason.

    Attributes:
        lost: captions and classes of files that do not exist.
        unused: all other files.
    """

    lost: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)


def leftover(names: Sequence[str], folder: Path, *, captioned: bool, classes: bool) -> Leftover:
    """Describe the files ``names`` of ``folder``.

    Args:
        names: names relative to ``folder``.
        folder: the folder that was read.
        captioned: whether other images have captions in files next to them.
        classes: whether images have classes in .cls files.
    """
    result = Leftover()
    tables = [name for name in names if _is_table(folder, name)]
    for name in names:
        ending = ending_of(name)
        if name in tables:
            why = f"a table or archive; to read it: modalgap encode {folder / tables[0]}"
            result.unused.append((name, why))
        elif name == CLASS_NAMES:
            if not classes:
                result.unused.append((name, "names of classes without .cls files"))
        elif ending == ".cls" and classes:
            result.lost.append((name, "a class without a file"))
        elif ending in (".txt", ".caption") and captioned:
            result.lost.append((name, "a caption without a file"))
        elif ending in (".txt", ".caption", ".json", ".cls"):
            why = f"a {ending} without a file of the same name"
            if ending == ".json":
                why += " (if it lists captions, use it as SOURCE)"
            result.unused.append((name, why))
        else:
            why = f"not an image, a sound or a caption ({ending or 'no extension'})"
            result.unused.append((name, why))
    return result


def _is_table(folder: Path, name: str) -> bool:
    ending = ending_of(name)
    if ending != ".txt":
        return ending in SOURCES
    try:
        with (folder / name).open("rb") as file:
            head = header_of(file.read(4096).decode("utf-8-sig", errors="replace"))
    except OSError:
        return False
    small = {each.lower() for each in head}
    return bool(small & {*PATHS}) and bool(small & {*CAPTIONS})
