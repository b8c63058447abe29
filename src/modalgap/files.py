"""Checks of every file: it must be regular, not empty, readable, and not larger than memory."""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from modalgap.checks import available_memory
from modalgap.errors import FileError, ModalgapError, reason
from modalgap.remote import Location, Remote, Stamp

SMALL = 64 * 2**20  # bytes of vectors up to which they are read into memory at once
EXPANDED = 2**29  # bytes that the content of a file of any size may have in memory
RATIO = 200  # of the content of a file to its size; text and vectors compress less
RESERVE = 0.9  # share of the available memory that one file may use


def regular_file(path: Location) -> int:
    """The size in bytes of a regular file that is not empty.

    Anything else is refused before it is opened: reading a pipe or a device might never end.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file or directory") from error
    except ModalgapError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise FileError(f"{path}: cannot be read ({reason(error)})") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "a pipe, socket or device"
        raise FileError(f"{path}: must be a regular file; found {kind}")
    if found.st_size == 0:
        raise FileError(f"{path}: must hold embeddings; found an empty file")
    return found.st_size


@contextmanager
def parsing(path: Location, what: str) -> Iterator[None]:
    """Turn any exception that a parser raises for malformed bytes into a FileError.

    Parsers of other people's formats document few of the exceptions that damaged bytes can cause,
    so everything is caught here, at the boundary, on purpose. Their warnings are about the file
    too, and would repeat what the checks that follow say.
    """
    if isinstance(path, Remote):
        with reading(path, what):
            yield
        return
    with warnings.catch_warnings(), reading(path, what):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reading(path: Location, what: str) -> Iterator[None]:
    """``parsing`` where threads may read at the same time, whose warnings cannot be caught."""
    try:
        yield
    except ModalgapError:
        raise
    except MemoryError as error:
        raise FileError(f"{path}: must fit in memory; it does not") from error
    except PermissionError as error:
        raise FileError(f"{path}: cannot be read ({reason(error)})") from error
    except Exception as error:
        raise FileError(f"{path}: must be a whole {what} file; found {reason(error)}") from error


def stamp(path: Location) -> Stamp:
    """Size, and time of the last change or entity tag, which differ after a change of the file."""
    try:
        if isinstance(path, Remote):
            return path.stamp()
        found = path.stat()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or 'it was removed'})") from error
    return (found.st_size, found.st_mtime_ns)


def unchanged(path: Location, before: Stamp) -> None:
    """Refuse a file that changed after it was opened."""
    if stamp(path) != before:
        raise FileError(f"{path}: must not change after it was opened; it was changed")


def check_memory(path: Location | str, wanted: int) -> None:
    """Refuse to read ``wanted`` bytes if they exceed the available memory."""
    available = available_memory()
    if available is not None and wanted > RESERVE * available:
        raise FileError(
            f"{path}: must fit in the available memory of {available / 2**30:.1f} GiB;"
            f" it needs {wanted / 2**30:.1f} GiB"
        )


def check_expansion(path: Location | str, size: int, wanted: int) -> None:
    """Refuse a small file whose content is very large, and content that exceeds the memory.

    Args:
        path: the file.
        size: its bytes.
        wanted: bytes of its content in memory.

    Raises:
        FileError: the content has more than ``EXPANDED`` bytes and ``RATIO`` times ``size``.
    """
    if wanted > max(EXPANDED, RATIO * size):
        raise FileError(
            f"{path}: must expand at most {RATIO} times, or to {EXPANDED >> 20} MiB; its"
            f" {size:,} bytes expand to {wanted:,} or more"
        )
    check_memory(path, wanted)


def natural(path: Location) -> list[tuple[int, int, str]]:
    """A sorting key that puts part_2 before part_10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(0, int(part), part) if i % 2 else (1, 0, part) for i, part in enumerate(parts)]
