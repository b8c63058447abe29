"""Texts that lie in a folder a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.source import Source


def documents(folder: Path, classes: Sequence[str], pattern: str, encoding: str) -> Source:
    """The files of each class in the order of their names, as they are; with the factor ``class``.

    Args:
        folder: holds a folder a class.
        classes: folders to read.
        pattern: which files of a folder, a glob.
        encoding: of the files; one that is not so encoded goes to ``missing``.
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
