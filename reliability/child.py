"""Functions and commands in forked processes: they start at once and share nothing.

The parent imports what commands need and never computes, so a child begins with the modules loaded
and with no thread of a library.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

DAY = 86_400.0  # seconds
LATE = 124  # the exit code for a child that was ended after its time limit, as timeout(1)


def start(function: Callable[[], int | None], messages: Path) -> int:
    """Call ``function`` in a new session; its output is appended to ``messages``. The process."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code: object = 1
    try:
        os.setsid()
        file = os.open(messages, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((null, 0), (file, 1), (file, 2)):
            os.dup2(old, new)
        code = function()
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def wait(child: int, limit: float = 600.0) -> int:
    """The exit code of a child, or minus the number of its signal; ``LATE`` after ``limit`` s."""
    end = time.monotonic() + limit
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            kill(child)
            os.waitpid(child, 0)
            return LATE
        time.sleep(0.002)


def run_all(functions: Iterable[Callable[[], int | None]], messages: Path) -> None:
    """Call functions at once, each in a child, and wait for all.

    Raises:
        RuntimeError: one of them failed; with their messages.
    """
    started = [start(each, messages) for each in functions]
    codes = [wait(each, DAY) for each in started]
    if any(codes):
        raise RuntimeError(f"exit codes {codes}: {messages.read_text()[-2000:]}")


def kill(child: int) -> None:
    """``kill -9`` for a child and all processes of its session's group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # it may not have its own group yet


def command(arguments: Sequence[str], folder: Path) -> Callable[[], None]:
    """A function that runs ``modalgap ARGUMENTS`` in ``folder``, as the shell does."""

    def run() -> None:
        from modalgap.__main__ import main

        os.chdir(folder)
        sys.argv = ["modalgap", *arguments]
        main()

    return run


def preload(function: Callable[[], int | None], folder: Path) -> None:
    """Import what a function imports, found by a first run: its next children start at once.

    Raises:
        RuntimeError: the first run failed; with its messages.
    """
    names = folder / "modules"

    def run() -> int | None:
        try:
            return function()
        finally:
            names.write_text("\n".join(sys.modules))

    code = wait(start(run, folder / "messages"))
    if code:
        raise RuntimeError(f"exit code {code}: {(folder / 'messages').read_text()[-2000:]}")
    for name in names.read_text().splitlines():
        if name not in sys.modules and not name.startswith(("__main__", "__mp_main__")):
            with contextlib.suppress(Exception):  # some exist only inside a run
                importlib.import_module(name)
