"""Ending a process: soon after SIGINT or SIGTERM, even if it waits, and when its launcher ends.

Python runs a signal handler only between two instructions of the main thread. A process that waits
inside a library, such as in a collective for another process, never runs it. ``guarded`` therefore
reads the signals in a thread, and ends the process if it still runs after ``LIMIT`` seconds. Files
are replaced atomically, so completed files are not lost.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

GRACE = 4.0  # seconds that the current step may take to end
LIMIT = 7.0  # seconds after which the process ends in any case
POLL = 0.5  # seconds between two checks of the launcher, if the system sends no signal
PR_SET_PDEATHSIG = 1  # of sys/prctl.h
ENDING = (signal.SIGINT, signal.SIGTERM)
LAUNCHER = "MODALGAP_LAUNCHER"  # environment: the process that started this one

_guarded = False


def guard() -> Callable[[], None]:
    """From now on, end this process ``LIMIT`` seconds after SIGINT or SIGTERM if it still runs.

    Does nothing outside the main thread, if a guard is active, or if the program reads signals
    itself (asyncio).

    Returns:
        A function that ends the guard.
    """
    global _guarded
    if _guarded or threading.current_thread() is not threading.main_thread():
        return lambda: None
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)
        return lambda: None
    left = threading.Event()
    threading.Thread(target=_watch, args=(read, left), name="signals", daemon=True).start()
    _guarded = True

    def end() -> None:
        global _guarded
        _guarded = False
        left.set()
        signal.set_wakeup_fd(-1)
        os.close(write)  # ends the thread

    return end


@contextmanager
def guarded() -> Iterator[None]:
    """Apply ``guard`` to the block."""
    end = guard()
    try:
        yield
    finally:
        end()


def _watch(read: int, left: threading.Event) -> None:
    while number := next(iter(os.read(read, 1)), 0):
        if number in ENDING and not left.wait(LIMIT):
            name = signal.Signals(number).name
            leave(f"did not stop within {LIMIT:g} s of {name}; ended", 128 + number)
    os.close(read)


def leave(message: str, code: int) -> None:
    """End this process at once, from any thread, with one line on stderr."""
    with suppress(OSError):
        os.write(2, f"modalgap: {message}\n".encode(errors="replace"))
    os._exit(code)


class Patience:
    """Lets the current step end after SIGINT or SIGTERM: a context manager.

    The block reads ``stopping`` after each step. A step that takes more than ``GRACE`` seconds, and
    a second SIGINT, raise KeyboardInterrupt. An ignored signal stays ignored. Outside the main
    thread it does nothing.

    Attributes:
        stopping: whether a signal was received.
    """

    def __init__(self) -> None:
        self.stopping = self._late = False
        self._timer: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Patience:
        if threading.current_thread() is threading.main_thread():
            for each in ENDING:
                if signal.getsignal(each) != signal.SIG_IGN:
                    self._before[each] = signal.signal(each, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self.hold()
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def hold(self) -> None:
        """Remove the time limit: the step has ended, and saving may take longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _note(self, number: int, _frame: object) -> None:
        if self.stopping and (self._late or number == signal.SIGINT):
            raise KeyboardInterrupt
        if not self.stopping:  # a launcher may send SIGTERM after the terminal's SIGINT
            self.stopping = True
            self._timer = threading.Timer(GRACE, self._interrupt, (signal.Signals(number),))
            self._timer.daemon = True
            self._timer.start()

    def _interrupt(self, number: signal.Signals) -> None:
        self._late = True
        # a signal, which ends waiting for a lock; _thread.interrupt_main would not
        signal.pthread_kill(threading.main_thread().ident or 0, number)


@contextmanager
def delayed() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block ends.

    A process that is started in the block has them blocked. In this process blocking is not
    enough: another thread may take the signal, and its handler runs in the main thread.
    """
    came: list[int] = []
    before: dict[signal.Signals, Any] = {}
    mask = None
    if hasattr(signal, "pthread_sigmask"):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        if threading.current_thread() is threading.main_thread():
            for each in ENDING:
                if callable(signal.getsignal(each)):
                    before[each] = signal.signal(each, lambda number, _: came.append(number))
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in came:
        signal.raise_signal(number)


def end_with(parent: int, number: signal.Signals) -> None:
    """End this process by signal ``number`` when ``parent``, which started it, has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    else:
        threading.Thread(target=_follow, args=(parent, number), daemon=True).start()
    if os.getppid() != parent:  # it ended before this line
        os.kill(os.getpid(), number)


def _follow(parent: int, number: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os.kill(os.getpid(), number)


def end_with_launcher() -> None:
    """End this process when its launcher, or torchrun, has ended."""
    launcher = os.environ.pop(LAUNCHER, None)
    if launcher is not None:  # only the launcher writes checkpoints, so nothing is lost
        end_with(int(launcher), signal.SIGKILL)
    elif "TORCHELASTIC_RUN_ID" in os.environ:
        end_with(os.getppid(), signal.SIGTERM)
    else:
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # no stack traces of lost connections


@contextmanager
def launching() -> Iterator[None]:
    """Processes started in the block end with this one if they call ``end_with_launcher``."""
    os.environ[LAUNCHER] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(LAUNCHER, None)
