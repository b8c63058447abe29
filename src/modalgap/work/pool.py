"""Worker processes: the one pool. Workers end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext, suppress
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import TracebackType
from typing import Any, TypeVar

from modalgap.ending import ENDING, delayed, end_with
from modalgap.errors import ModalgapError
from modalgap.waiting import passive_children

NICE = 10  # on the CPU the model comes first: workers fill the time that it leaves
PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL, in which a training process saves
AGAIN = 0.1  # seconds between two SIGTERM
JOIN = 1.0  # seconds for the thread that serves the processes, once they are gone

T = TypeVar("T")


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """Processes that call functions for this one: a context manager.

    When the block ends well, the pool waits for the calls that run. When it ends by an exception,
    such as KeyboardInterrupt, workers get SIGTERM, and SIGKILL after ``PATIENCE`` seconds. Workers
    ignore SIGINT, which a terminal sends to all processes, and end when this process is gone.

    Args:
        count: of processes.
        begin: what each calls first.
        arguments: of ``begin``.
        died: the message if a process dies, such as for lack of memory.
        fresh: start new interpreters, with threads of their own, rather than fork.
        polite: lower the priority of the processes.

    Raises:
        ModalgapError: a process died.
    """

    def __init__(
        self,
        count: int,
        begin: Callable[..., None],
        arguments: tuple[Any, ...],
        died: str,
        *,
        fresh: bool = False,
        polite: bool = False,
    ) -> None:
        self._died = died
        self._threads = passive_children if fresh else nullcontext  # a fork has its parent's policy
        fork = sys.platform == "linux" and not fresh
        context = multiprocessing.get_context("fork") if fork else _Fresh()
        self._executor = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(begin, arguments, polite, os.getpid())
        )

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in a process; where processes must start, they start here."""
        with delayed(), self._threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about threads beside forks
            return self._executor.submit(function, *arguments)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._executor.shutdown(cancel_futures=True)
            return
        self._stop()
        if issubclass(kind, BrokenProcessPool):
            raise ModalgapError(self._died) from None

    def _stop(self) -> None:
        processes = list((self._executor._processes or {}).values())
        manager: Any = self._executor._executor_manager_thread
        self._executor.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + PATIENCE
        alive = [each for each in processes if each.is_alive()]
        while alive and time.monotonic() < deadline:
            for each in alive:
                each.terminate()
            wait([each.sentinel for each in alive], AGAIN)
            alive = [each for each in alive if each.is_alive()]
        for each in alive:
            each.kill()
        if manager is not None:  # it closes pipes, which the end of the interpreter writes to
            manager.join(JOIN)


def _begin(
    begin: Callable[..., None], arguments: tuple[Any, ...], polite: bool, parent: int
) -> None:
    """A worker's start."""
    _born(parent)
    if polite:
        with suppress(OSError, AttributeError):
            os.nice(NICE)
    begin(*arguments)


def _born(parent: int) -> None:
    """Leave SIGINT to the parent, and end with it."""
    with suppress(ValueError):  # of a program that reads signals itself
        signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent, signal.SIGKILL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class _FreshProcess(SpawnProcess):
    """A process that knows its parent before it imports anything of size."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (os.getpid(),), self.__dict__


def _unpickled(parent: int) -> _FreshProcess:
    _born(parent)
    return _FreshProcess.__new__(_FreshProcess)


class _Fresh(SpawnContext):
    Process = _FreshProcess
