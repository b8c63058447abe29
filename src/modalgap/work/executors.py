"""Executors call a function with many arguments.

A run has a setup function and a list of calls. Each worker calls ``setup(number)`` once, with its
own number. The function that this returns is then called with the arguments of each call. A result
must depend on the arguments only, so that all executors give the same results. Except
in this process, the setup function, the arguments and the results must be picklable. To add an
executor, write a class with ``run``, ``count`` and ``local``.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

from modalgap.errors import ModalgapError, OutputError, quoted, reason
from modalgap.work.account import Account
from modalgap.work.pool import Pool

T = TypeVar("T")
Setup = Callable[[int], Callable[..., T]]
Call = tuple[Any, ...]


class Executor(Protocol):
    """Calls a function with many arguments.

    An executor that is also a context manager closes what it started when its block ends.
    """

    @property
    def count(self) -> int:
        """Number of calls that run at the same time."""
        ...

    @property
    def local(self) -> bool:
        """Whether calls run in this process: then nothing is pickled."""
        ...

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        An error ends the run: no further call starts, and the error is raised here. Closing the
        generator cancels the calls that remain.

        Args:
            setup: called once in each worker with its number, 0, 1, …; returns the function. If it
                has an attribute ``gpus``, and the executor schedules GPUs, each worker gets this
                number of them: 1, or 0.5 if two workers share one.
            calls: the arguments of each call, read as needed.
            ordered: whether results are yielded in the order of the calls, or as they finish.
        """
        ...


class InProcess:
    """Runs the calls in this process, one by one. A call runs when its result is read."""

    count = 1
    local = True

    def run(
        self,
        setup: Setup[T],
        calls: Iterable[Call],
        *,
        ordered: bool = True,  # noqa: ARG002 - of the protocol
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result)."""
        function = setup(0)
        for index, arguments in enumerate(calls):
            yield index, function(*arguments)


CURRENT: ContextVar[Executor] = ContextVar("executor", default=InProcess())  # noqa: B039


@dataclass(kw_only=True)
class Processes:
    """Worker processes of this machine.

    By default each ``run`` starts processes and ends them. In a block ``with Processes(...)`` the
    processes are kept between runs until the block ends, or until a run fails or is closed early.

    Attributes:
        count: number of processes.
        option: name of the argument that sets their number, for the message if one dies.
        ahead: calls per process that are submitted before their results are read.
        threads: threads of torch in each process; None leaves the default.
        fresh: start new interpreters, with their own threads, instead of forks.
        polite: lower the priority of the processes.
        account: what each process did in the block.
    """

    count: int
    option: str = "workers"
    ahead: int = 2
    threads: int | None = None
    fresh: bool = False
    polite: bool = False
    account: Account = field(default_factory=Account, init=False, repr=False, compare=False)
    _kept: _Kept | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def local(self) -> bool:
        """Whether calls run in this process: no."""
        return False

    def __enter__(self) -> Processes:
        self._kept = _Kept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.close(kind, error, trace)

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        Raises:
            ModalgapError: a process died.
        """
        if self._kept is None:
            with self._pool(setup) as pool:
                for index, (_, _, result) in self._each(pool, _call, calls, ordered=ordered):
                    yield index, result
            return
        kept = self._kept
        if kept.pool is None:
            kept.pool = self._pool(None)
        source = kept.write(setup)
        call = partial(_call_of, source)
        ended: BaseException | None = None
        try:
            counted = self.account.counted(setup, calls)
            for index, (worker, seconds, result) in self._each(
                kept.pool, call, counted, ordered=ordered
            ):
                self.account.add(f"process {worker}", seconds, index)
                yield index, result
        except BaseException as error:
            ended = error
            raise
        finally:
            source.unlink(missing_ok=True)
            if ended is not None:  # some calls may still run: the next run needs new processes
                kept.end(type(ended), ended, ended.__traceback__)

    def _pool(self, setup: Setup[Any] | None) -> Pool:
        numbers = multiprocessing.get_context("spawn").SimpleQueue()
        for number in range(self.count):
            numbers.put(number)
        begin = (setup, numbers, self.threads)
        return Pool(self.count, _begin, begin, self._died(), fresh=self.fresh, polite=self.polite)

    def _each(
        self,
        pool: Pool,
        call: Callable[..., Any],
        calls: Iterable[Call],
        *,
        ordered: bool,
    ) -> Generator[tuple[int, Any]]:
        left = enumerate(calls)
        running: dict[Future[Any], int] = {}

        def submit(count: int) -> None:
            for index, arguments in islice(left, count):
                running[pool.submit(call, *arguments)] = index

        submit(self.ahead * self.count)
        while running:
            first = next(iter(running))
            ready = [first] if ordered else wait(running, return_when=FIRST_COMPLETED).done
            for future in ready:
                index = running.pop(future)
                yield index, future.result()
                submit(1)

    def _died(self) -> str:
        fewer = f" with fewer than {self.count} {self.option}" if self.count > 1 else ""
        script = "; a script also needs if __name__ == '__main__'" if self.fresh else ""
        return (
            f"a worker died, possibly because memory ran out; run the same command again{fewer}"
            f"; it resumes if it saved finished parts{script}"
        )


@contextmanager
def picklable() -> Iterator[None]:
    """Say that work cannot be pickled.

    Raises:
        ModalgapError: it cannot.
    """
    try:
        yield
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise ModalgapError(
            f"the work must be picklable to run in other processes; {quoted(str(error))}: run it"
            " here"
        ) from error


class _Kept:
    """Processes that are kept between runs, and the setup of each run, in a file of its own."""

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runs = 0

    def write(self, setup: Setup[Any]) -> Path:
        """The file of a setup, which each process reads once.

        Raises:
            ModalgapError: it cannot be pickled.
            OutputError: it cannot be written.
        """
        with picklable():
            whole = pickle.dumps(setup, protocol=5)
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(
                    prefix="modalgap-", ignore_cleanup_errors=True
                )
            path = Path(self._folder.name) / str(self._runs)
            path.write_bytes(whole)
        except OSError as error:
            raise OutputError(
                f"{error.filename or tempfile.gettempdir()}: the work for other processes cannot be"
                f" written ({error.strerror})"
            ) from error
        self._runs += 1
        return path

    def end(self, *why: Any) -> None:
        """End the processes; the arguments are those of ``__exit__``."""
        if self.pool is not None:
            pool, self.pool = self.pool, None
            pool.__exit__(*why)

    def close(self, *why: Any) -> None:
        """End the processes and remove the files."""
        try:
            self.end(*why)
        finally:
            if self._folder is not None:
                self._folder.cleanup()


_function: Callable[..., Any]  # of this process: it is sent once, not with each call
_worker: int  # the number of this process
_source: Path | None = None  # the file of the setup that made the function


def _begin(setup: Setup[Any] | None, numbers: Any, threads: int | None) -> None:
    """Start a worker. The first call raises an error of the setup, so that it is reported."""
    global _worker
    CURRENT.set(InProcess())  # a fork has that of its parent
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    _worker = numbers.get()
    if setup is not None:
        _prepare(setup)


def _prepare(setup: Setup[Any]) -> None:
    global _function
    try:
        _function = setup(_worker)
    except ModalgapError as error:
        failure = error

        def fail(*_arguments: Any) -> NoReturn:
            raise failure

        _function = fail


def _call(*arguments: Any) -> tuple[int, float, Any]:
    """The number of this worker, the seconds of a call, and its result."""
    began = time.monotonic()
    try:
        result = _function(*arguments)
    except Exception as error:
        _check_sent(error)
        raise
    return _worker, time.monotonic() - began, result


def _check_sent(error: Exception) -> None:
    """Replace an error that the other process could not unpickle, which would end the pool."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - of this process
    except Exception:
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _call_of(source: Path, *arguments: Any) -> tuple[int, float, Any]:
    """``_call`` of a run whose setup is in a file."""
    global _source
    if source != _source:
        try:
            setup = pickle.loads(source.read_bytes())  # noqa: S301 - of the parent, in its folder
        except (AttributeError, ImportError) as error:
            raise ModalgapError(
                f"the work cannot be loaded in another process ({reason(error)}): define what it"
                " uses in a module, or run it here"
            ) from None
        _prepare(setup)
        _source = source
    return _call(*arguments)
