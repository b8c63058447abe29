"""Files by the names that tables give them: Unicode forms and separators of other systems."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from modalgap.data.media import IMAGES, SOUNDS
from modalgap.data.walk import ending_of
from modalgap.errors import FileError, quoted

SAMPLE = 50  # names that are looked for, to find the folder that they start from
PLACES = ("images", "Images", "image", "imgs", "img", "photos", "data", "audio", "sounds")


def same(name: str) -> str:
    """One form for all spellings of a name: accents composed, as macOS does not store them."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class Names:
    """The files under a folder by any spelling of their names.

    A name is taken exactly as it is first, then in the Unicode form in which it is on the disk,
    then with the backslashes of Windows. A name without the ending of an image or a sound, as in
    tables of ids, is the one file of that name with such an ending.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, str]] = {}
        self._ended: dict[Path, dict[str, list[str]]] = {}

    def path(self, name: str) -> Path:
        """Where the file lies; ``folder / name`` if it is not there in any spelling."""
        found = self._as_spelled(name)
        if ending_of(name) in IMAGES | SOUNDS or "\0" in name or os.path.lexists(found):
            return found
        with_ending = self._with_ending(found.parent).get(same(found.name), [])
        return found.parent / with_ending[0] if len(with_ending) == 1 else found

    def _with_ending(self, folder: Path) -> dict[str, list[str]]:
        """Names without their endings, of the images and sounds in a folder."""
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
            found = self._spelled(self.folder, PurePosixPath(spelled).parts)
            if found is not None:
                return found
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
    """The folder that the names of a table start from, and a note if it is not the table's own.

    Args:
        beside: the table's folder first, then others around it.
        names: of the images, as the table has them.
        named: names of folders to try before the usual ones.

    Returns:
        Of the folders in ``beside``, their folders of usual names and then all others in the
        first, the one that holds most of a sample of ``names``; None if none holds any.

    Raises:
        FileError: two folders of other names hold as many.
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
        raise FileError(f"{quoted(some[0])} and others lie in {first} and in {second}; give --root")
    return (others[0], _note(others[0], own)) if others else (None, "")


def _most(names: Sequence[str], folders: Sequence[Path]) -> list[Path]:
    """The folders that hold most of ``names``, if any holds one."""
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
    return f"their files lie in {where}/"


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
