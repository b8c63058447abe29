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

NICE = 10  # on the CPU the model has priority: workers use the remaining time
PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL, in which a training process saves
AGAIN = 0.1  # seconds between two SIGTERM
TOLD = (None, 0, -signal.SIGTERM)  # exit codes of processes that did not die by themselves
JOIN = 1.0  # seconds to wait for the thread that serves the processes, after they ended

T = TypeVar("T")


def processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """Processes that call functions for this process; a context manager.

    When the block ends normally, the pool waits for running calls. When it ends by an exception,
    such as KeyboardInterrupt, workers get SIGTERM, and SIGKILL after ``PATIENCE`` seconds. Workers
    ignore SIGINT, which a terminal sends to all processes, and end when this process has ended.

    Args:
        count: number of processes.
        begin: the function that each process calls first.
        arguments: arguments of ``begin``.
        died: the message if a process dies, for example because memory ran out.
        fresh: start new interpreters, with their own threads, instead of forks.
        polite: lower the priority of the processes.

    Attributes:
        ended: how the process ended that died: "SIGSEGV", "exit code 3"; "" if it is unknown.

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
        self.ended = ""
        self._threads = passive_children if fresh else nullcontext  # a fork inherits the policy
        fork = sys.platform == "linux" and not fresh
        context = multiprocessing.get_context("fork") if fork else _Fresh()
        self._executor = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(begin, arguments, polite, os.getpid())
        )

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in a process; start the processes if necessary."""
        with delayed(), self._threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about threads and forks
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
        codes = [each.exitcode for each in processes]
        # if one dies, the others get SIGTERM
        self.ended = next((_ending(code) for code in codes if code not in TOLD), "")
        if manager is not None:  # it closes pipes, which the end of the interpreter writes to
            manager.join(JOIN)


def _ending(code: int) -> str:
    """How a process ended: the name of the signal, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _begin(
    begin: Callable[..., None], arguments: tuple[Any, ...], polite: bool, parent: int
) -> None:
    """Start a worker."""
    _born(parent)
    if polite:
        with suppress(OSError, AttributeError):
            os.nice(NICE)
    begin(*arguments)


def _born(parent: int) -> None:
    """Ignore SIGINT, which the parent handles, and end with the parent."""
    with suppress(ValueError):  # the program handles signals itself
        signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent, signal.SIGKILL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class _FreshProcess(SpawnProcess):
    """A process that stores its parent before it imports large modules."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (os.getpid(),), self.__dict__


def _unpickled(parent: int) -> _FreshProcess:
    _born(parent)
    return _FreshProcess.__new__(_FreshProcess)


class _Fresh(SpawnContext):
    Process = _FreshProcess
