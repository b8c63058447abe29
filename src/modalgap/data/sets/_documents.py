"""Texts in one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.source import Source


def documents(folder: Path, classes: Sequence[str], pattern: str, encoding: str) -> Source:
    """Read the files of each class in the order of their names; the class is a factor.

    Args:
        folder: a folder that holds one folder per class.
        classes: folders to read.
        pattern: glob of the files in a folder.
        encoding: encoding of the files; files with another encoding go to ``missing``.
    """
    texts: list[str] = []
    owner: list[str] = []
    missing: list[tuple[str, str]] = []
    for each in classes:
        for path in sorted((folder / each).glob(pattern)):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                texts.append(path.read_bytes().decode(encoding))
                owner.append(each)
            except OSError as error:
                missing.append((f"{each}/{path.name}", str(error.strerror)))
            except UnicodeDecodeError as error:
                missing.append((f"{each}/{path.name}", f"must be {encoding} ({error.reason})"))
    return Source(name="", texts=texts, text_factors={"class": owner}, missing=tuple(missing))
