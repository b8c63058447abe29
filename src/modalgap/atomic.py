"""Atomic replacement of files: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from modalgap.errors import OutputError

TEMPORARY = ".modalgap-"  # names of temporary files begin with it

_cleaned: set[Path] = set()  # folders from which this process removed abandoned files


@contextmanager
def replacing(path: Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file for writing that replaces ``path`` if the block ends without an error.

    The bytes are written to a hidden file in the same folder, which is flushed to the disk and then
    renamed. If the block is interrupted, ``path`` is unchanged and the hidden file is removed. If
    the process is killed, the next one that writes in this folder removes it.

    Args:
        path: the file to make.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: the file exists and may not be replaced, or it cannot be written.
    """
    # a link still points to the same path, now the new file
    target = Path(os.path.realpath(path))
    check_target(path, overwrite=overwrite)
    try:
        _clean(target.parent)
        with _temporary(target.parent) as (part, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            check_target(path, overwrite=overwrite)
            part.replace(target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    _sync_folder(target.parent)


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new hidden file, locked in the block, and removed at its end if it is still there."""
    while True:
        part = folder / f"{TEMPORARY}{secrets.token_hex(8)}.part"
        file = part.open("x+b")
        lock = os.dup(file.fileno())  # outlives the file, which is closed before it is renamed
        _lock(lock)
        if part.exists():
            break
        file.close()  # another process found it before it was locked, and removed it
        os.close(lock)
    try:
        with file:
            yield part, file
    finally:
        with suppress(OSError):
            part.unlink()
        os.close(lock)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder, locked in the block, and removed at its end if it is still there.

    If the process is killed, the next one that writes in ``parent`` removes it.

    Raises:
        OSError: it cannot be made.
    """
    _clean(parent)
    part = parent / f"{TEMPORARY}{secrets.token_hex(8)}.part"
    part.mkdir()
    try:
        with ExitStack() as stack:
            with suppress(OSError):  # Windows opens no folders
                _lock(stack.enter_context(_handle(part)))
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clean(folder: Path) -> None:
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_abandoned(folder)


def remove_abandoned(folder: Path) -> None:
    """Remove the hidden files and folders that killed processes left in a folder."""
    for part in folder.glob(f"{TEMPORARY}*.part"):
        with suppress(OSError), _handle(part) as handle:
            if _lock(handle):
                if part.is_dir():
                    shutil.rmtree(part)
                else:
                    part.unlink()


@contextmanager
def _handle(path: Path) -> Iterator[int]:
    """A handle of a file or folder, for locks."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # as NFS requires
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file or folder until all of its handles are closed; whether that succeeded."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # the system has no such locks, or another process has this one
        return False
    return True


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder, with its parents; if the block fails, remove those that it leaves empty.

    Folders that were there before stay.

    Raises:
        OutputError: the folder cannot be made.
    """
    try:
        new = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
        if folder.parent in new:
            _refuse_uri(folder, "folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OutputError:
        raise
    except FileExistsError as error:
        raise OutputError(f"{folder}: must be a folder; found a file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: cannot be made ({reason})") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for each in new:  # the innermost first; the first that is not empty ends this
                each.rmdir()
        raise


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that cannot become a file; to be called before the work starts.

    Raises:
        OutputError: the folder does not exist, or the path is a folder, a device, or a file that
            may not be replaced.
    """
    try:
        parent = Path(os.path.realpath(path)).parent
        if not parent.is_dir():
            _refuse_uri(path, "file")
            raise OutputError(f"{path}: must be in a folder that exists; found no {parent}")
        found = path.stat()
    except FileNotFoundError:
        return
    except OutputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({reason})") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, socket or device"
        raise OutputError(f"{path}: must be a file; found {kind}")
    if not overwrite:
        raise OutputError(f"{path}: exists; replace it with --force or overwrite=True")


def _refuse_uri(path: Path, kind: str) -> None:
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE):
        raise OutputError(f"{path}: must be a local {kind}; object stores are only read")


def _sync_folder(folder: Path) -> None:
    """Make the renaming survive a power failure, if the system supports it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
