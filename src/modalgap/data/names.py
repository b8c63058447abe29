"""Find files by the names in tables, in other Unicode forms and with other separators."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from modalgap.data.media import IMAGES, SOUNDS
from modalgap.data.walk import ending_of
from modalgap.errors import FileError, quoted

SAMPLE = 50  # names to search, to find the folder that they are relative to
PLACES = ("images", "Images", "image", "imgs", "img", "photos", "data", "audio", "sounds")


def same(name: str) -> str:
    """A normal form for all spellings of a name; macOS stores accents as separate characters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class Names:
    """Find the files under a folder by any spelling of their names.

    A name is first searched exactly, then in the Unicode form on disk, then with the backslashes of
    Windows. A name without an image or sound extension, as in tables of ids, matches the only file
    with this name and such an extension.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, str]] = {}
        self._ended: dict[Path, dict[str, list[str]]] = {}

    def path(self, name: str) -> Path:
        """The path of the file; ``folder / name`` if it does not exist in any spelling."""
        result = self._as_spelled(name)
        if ending_of(name) in IMAGES | SOUNDS or "\0" in name or os.path.lexists(result):
            return result
        with_ending = self._with_ending(result.parent).get(same(result.name), [])
        return result.parent / with_ending[0] if len(with_ending) == 1 else result

    def _with_ending(self, folder: Path) -> dict[str, list[str]]:
        """Names without extension, of the images and sounds in a folder."""
        if folder not in self._ended:
            found: dict[str, list[str]] = {}
            for name in self._entries(folder).values():
                if ending_of(name) in IMAGES | SOUNDS:
                    found.setdefault(same(name.rpartition(".")[0]), []).append(name)
            self._ended[folder] = found
        return self._ended[folder]

    def _as_spelled(self, name: str) -> Path:
        exact = self.folder / name
        plain = name.isascii()
        if plain and "\\" not in name:
            return exact
        if "\0" in name or os.path.lexists(exact):
            return exact
        for spelled in (name, name.replace("\\", "/")):
            result = self._spelled(self.folder, PurePosixPath(spelled).parts)
            if result is not None:
                return result
        return exact

    def _spelled(self, folder: Path, parts: Sequence[str]) -> Path | None:
        for part in parts:
            exact = folder / part
            if not os.path.lexists(exact):
                known = self._entries(folder).get(same(part))
                if known is None:
                    return None
                exact = folder / known
            folder = exact
        return folder

    def _entries(self, folder: Path) -> dict[str, str]:
        if folder not in self._listed:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
            except OSError:
                names = []
            self._listed[folder] = {same(name): name for name in reversed(names)}
        return self._listed[folder]


def image_folder(
    beside: Sequence[Path], names: Sequence[str], named: Sequence[str] = ()
) -> tuple[Path | None, str]:
    """The folder that the names of a table are relative to, and a note if it is another folder.

    Args:
        beside: the folder of the table first, then others near it.
        names: names of the images, as in the table.
        named: names of folders to search before the usual ones.

    Returns:
        The folder with the most of a sample of ``names``: one of ``beside``, of their folders with
        usual names, or of all other folders in the first; None if none has any.

    Raises:
        FileError: two folders with other names have equally many.
    """
    step = max(1, len(names) // SAMPLE)
    some = list(names[::step][:SAMPLE])
    own = beside[0]
    usual = [each / name for each in beside for name in (*named, *PLACES)]
    best = _most(some, [own]) or _most(some, usual)
    if best:
        return best[0], _note(best[0], own)
    others = _most(some, [each for each in _folders(own) if each not in usual])
    if len(others) > 1:
        first, second = (each.name for each in others[:2])
        raise FileError(f"{quoted(some[0])} and others are in {first} and in {second}; use --root")
    return (others[0], _note(others[0], own)) if others else (None, "")


def _most(names: Sequence[str], folders: Sequence[Path]) -> list[Path]:
    """The folders with the most of ``names``, if any has one."""
    found: dict[Path, int] = {}
    for folder in dict.fromkeys(folders):
        known = Names(folder)
        if folder.is_dir() and (number := sum(_is_file(known.path(name)) for name in names)):
            found[folder] = number
    return [folder for folder, number in found.items() if number == max(found.values())]


def _note(folder: Path, own: Path) -> str:
    if folder == own:
        return ""
    where = folder.relative_to(own) if folder.is_relative_to(own) else folder
    return f"their files are in {where}/"


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []
    return [each for each in inside if each.is_dir()]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False
