"""List all files under a folder, through links, and what cannot be read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from modalgap.errors import FileError
from modalgap.work import is_unfinished

MOST_FOLDERS = 10**6  # links between folders can multiply them


@dataclass(frozen=True)
class Tree:
    """The content of a folder.

    Attributes:
        folder: the folder.
        files: paths relative to it, sorted by their parts.
        folders: folders directly in it that were searched, sorted.
        lost: links without a target and folders that cannot be read: name and reason.
        unused: entries that are not searched or opened (hidden, loops, unfinished runs, pipes and
            devices): name and reason.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)


def walk(folder: Path) -> Tree:
    """Every regular file under ``folder``, however deep; links to files and folders are followed.

    A link to a folder that contains it is a loop and is not followed. Hidden entries and the
    folders of unfinished runs are not searched.

    Raises:
        FileError: the folder itself cannot be read, or links lead to too many folders.
    """
    tree = Tree(folder)
    try:
        top = folder.resolve(strict=True)
        above = frozenset(_identity(each.stat()) for each in (top, *top.parents))
        os.scandir(folder).close()
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({error.strerror})") from error
    waiting = [("", above)]
    entered = 0
    while waiting:
        prefix, holders = waiting.pop()
        entered += 1
        if entered > MOST_FOLDERS:
            raise FileError(f"{folder}: must hold at most {MOST_FOLDERS:,} folders, links followed")
        _enter(tree, prefix, holders, waiting)
    tree.files.sort(key=lambda name: name.split("/"))
    tree.folders.sort()
    tree.lost.sort()
    tree.unused.sort()
    return tree


def ending_of(name: str) -> str:
    """The extension of a file name, in lower case."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, and there may be millions


Holders = frozenset[tuple[int, int]]


def _enter(tree: Tree, prefix: str, holders: Holders, waiting: list[tuple[str, Holders]]) -> None:
    """Sort the entries of one folder into files, folders to search, and other entries."""
    try:
        with os.scandir(tree.folder / prefix) as found:
            entries = list(found)
    except OSError as error:
        tree.lost.append((prefix.rstrip("/"), f"a folder that cannot be read ({error.strerror})"))
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            tree.unused.append((name, "hidden"))
            continue
        try:
            if entry.is_file():
                tree.files.append(name)
                continue
            status = entry.stat()
            if not entry.is_dir():
                tree.unused.append((name, "not a regular file"))
                continue
        except OSError as error:
            gone = entry.is_symlink() and isinstance(error, FileNotFoundError)
            why = (
                "a link whose target is not there" if gone else f"cannot be read ({error.strerror})"
            )
            tree.lost.append((name, why))
            continue
        if is_unfinished(tree.folder / name):
            tree.unused.append((name, "an unfinished run"))
            continue
        identity = _identity(status)
        if identity in holders:
            tree.unused.append((name, "a link to a folder that contains it"))
        else:
            waiting.append((f"{name}/", holders | {identity}))
            if not prefix:
                tree.folders.append(name)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
