"""Executors call a function with many arguments.

A task is a setup function and a list of calls. Each worker calls ``setup(worker)`` once, with its
number. The function that it returns is then called with the arguments of each call. A result must
depend on the arguments only, so that all executors give the same results.
To add an executor, such as one for a cluster, write a class with ``run``. The setup function, the
arguments and the results of a task can be pickled.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, Protocol, TypeVar

from modalgap.errors import ModalgapError
from modalgap.work.pool import Pool

T = TypeVar("T")
Setup = Callable[[int], Callable[..., T]]
Call = tuple[Any, ...]


class Executor(Protocol):
    """Calls a function with many arguments."""

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        An error ends the run: no further call starts, and the error is raised here. Closing the
        generator cancels the calls that remain.

        Args:
            setup: called once in each worker with its number, 0, 1, …; returns the function.
            calls: the arguments of each call, read as needed.
            ordered: yield results in the order of the calls, or else as they finish.
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


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Worker processes of this machine.

    Attributes:
        count: number of processes.
        option: name of the argument that sets their number, for the message if one dies.
        ahead: calls per process that are submitted before their results are read.
        threads: threads of torch in each process; None leaves the default.
        fresh: start new interpreters, with their own threads, instead of forks.
        polite: lower the priority of the processes.
    """

    count: int
    option: str = "workers"
    ahead: int = 2
    threads: int | None = None
    fresh: bool = False
    polite: bool = False

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        Raises:
            ModalgapError: a process died.
        """
        numbers = multiprocessing.get_context("spawn").SimpleQueue()
        for number in range(self.count):
            numbers.put(number)
        begin = (setup, numbers, self.threads)
        left = enumerate(calls)
        running: dict[Future[Any], int] = {}
        with Pool(
            self.count, _begin, begin, self._died(), fresh=self.fresh, polite=self.polite
        ) as pool:

            def submit(count: int) -> None:
                for index, arguments in islice(left, count):
                    running[pool.submit(_call, *arguments)] = index

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
            f" (with an output, it resumes){script}"
        )


_function: Callable[..., Any]  # of this process: it is sent once, not with each call


def _begin(setup: Setup[Any], numbers: Any, threads: int | None) -> None:
    """Start a worker. The first call raises an error of the setup, so that it is reported."""
    global _function
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    try:
        _function = setup(numbers.get())
    except ModalgapError as error:
        failure = error

        def fail(*_arguments: Any) -> NoReturn:
            raise failure

        _function = fail


def _call(*arguments: Any) -> Any:
    return _function(*arguments)
