"""What a reader must not do: run programs, unpickle, connect, or change files outside its input."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAMS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen"}
CHANGES = {  # events that change files, each with the number of its paths
    "os.chmod": 1, "os.chown": 1, "os.link": 2, "os.mkdir": 1, "os.remove": 1, "os.rename": 2,
    "os.rmdir": 1, "os.symlink": 2, "os.truncate": 1, "shutil.rmtree": 1,
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NUMBER = struct.Struct("<q")
HARMLESS = ("/dev/null", "/proc/", "/dev/shm/sem.", "/dev/shm/torch_")
OWN = ("/data/_unpickle.py", "/data/emoji/_draw.py")  # programs of the package, with limits


class Watch:
    """Collects forbidden events from now on: an audit hook, which cannot be removed.

    Attributes:
        seen: the forbidden events since it was last emptied.
    """

    def __init__(self, *allowed: Path) -> None:
        self.seen: list[str] = []
        self._allowed = tuple(str(each.resolve()) for each in allowed)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in PROGRAMS:
            if not any(own in str(each) for own in OWN for each in arguments):
                self.seen.append(f"{event} {arguments}"[:200])
        elif event in ("pickle.find_class", "socket.connect"):
            self.seen.append(f"{event} {arguments[-2:]}"[:200])
        else:
            for path in changed(event, arguments):
                self._check(event, path)

    def _check(self, event: str, path: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):  # an open file
            return
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - resolve opens files
        if not whole.startswith((*self._allowed, *HARMLESS)) and "__pycache__" not in whole:
            self.seen.append(f"{event} {whole}"[:200])


def changed(event: str, arguments: tuple[Any, ...]) -> list[Any]:
    """The paths that an audit event changes."""
    if event == "open":
        path, _, flags = arguments
        return [path] if isinstance(flags, int) and flags & WRITES else []
    return list(arguments[: CHANGES.get(event, 0)])


def count_changes(folder: Path, at: int, changes: mmap.mmap) -> None:
    """From now on count the changes of files below a folder; before number ``at``, end by SIGKILL.

    Args:
        folder: the folder.
        at: number of the change, from 0.
        changes: where the number of changes so far is written.
    """

    def act(_: str, done: int) -> None:
        if done == at:
            os.killpg(0, signal.SIGKILL)
        changes[: NUMBER.size] = NUMBER.pack(done + 1)

    _at_changes(folder, act)


def fail_changes(folder: Path, at: int, number: int) -> None:
    """Let all changes of files below a folder fail from number ``at`` on, with error ``number``.

    A full disk (ENOSPC) lets files be removed.
    """

    def act(event: str, done: int) -> None:
        adds = event in ("open", "os.mkdir", "os.rename", "os.link", "os.symlink")
        if done >= at and (adds or number == errno.EROFS):
            raise OSError(number, os.strerror(number))

    _at_changes(folder, act)


def _at_changes(folder: Path, act: Callable[[str, int], None]) -> None:
    """Call ``act`` (event, number of changes before) right before each change below a folder."""
    inside, own = str(folder), str(folder / "messages")
    done = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        for path in changed(event, arguments):
            if not isinstance(path, str | os.PathLike):
                continue
            whole = os.path.abspath(path)  # noqa: PTH100 - resolve opens files
            if whole.startswith(inside) and whole != own:
                act(event, done)
                done += 1
                return

    sys.addaudithook(hook)
