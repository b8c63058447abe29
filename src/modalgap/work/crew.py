"""The workers of a Ray cluster. If one dies, its calls run again on other workers.

Ray itself would restart the actor and run its calls there. If no CPU is free for it, the calls
would wait while other workers are idle. The module ``ray`` is an argument, because only
``work.ray`` imports it.
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from modalgap.errors import ModalgapError, shortened
from modalgap.progress import note
from modalgap.work.account import Account
from modalgap.work.executors import Call, Setup, picklable
from modalgap.work.versions import Versions

T = TypeVar("T")
AHEAD = 2  # calls per worker that are submitted before their results are read
LONG = 0.5  # seconds; after a longer call, the time to submit the next one does not matter
DEATHS = 3  # a call during which this many workers died ends the run
PATIENCE = 20.0  # seconds without a ready worker before a note says so


class _Worker:
    """An actor, as the driver (the process that started the run) sees it.

    Attributes:
        number: number of the worker.
        actor: handle of the actor.
        hello: reference to the result of its ``hello``; None when the worker is ready.
        node: name of its node, when the worker is ready.
        ahead: calls that may be submitted to it at a time: one if its calls are long, so that none
            waits behind a long call while another worker is idle.
        calls: reference to each of its calls, oldest first, with the index and the arguments.
    """

    def __init__(self, number: int, actor: Any) -> None:
        self.number, self.actor = number, actor
        self.hello: Any = actor.hello.remote()
        self.node = "a node"
        self.ahead = 1
        self.calls: dict[Any, tuple[int, bytes]] = {}

    @property
    def free(self) -> bool:
        """Whether it can get a call."""
        return self.hello is None and len(self.calls) < self.ahead


class Crew:
    """The workers of one cluster, kept between runs.

    Args:
        ray: the module.
        actor: the class of the actors: ``work.ray.Worker``.
        gpus: GPUs of each worker.
        account: counts the calls.
    """

    def __init__(self, ray: Any, actor: type, gpus: float, account: Account) -> None:
        self.gpus, self._ray, self._account = gpus, ray, account
        self._versions = Versions.here()
        self._noted: set[str] = set()
        self._runs = self._failed = 0
        self._kind = ray.remote(num_cpus=1, num_gpus=gpus)(actor)
        self._workers: dict[int, _Worker] = {}
        self._places = places(ray, gpus)

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool
    ) -> Generator[tuple[int, T]]:
        """``Ray.run``."""
        ray, pack = self._ray, self._ray.cloudpickle.dumps
        self._runs += 1
        # bytes, because arrays that Ray itself unpickles are read-only; a reference in a list is
        # not resolved for each call
        with picklable():
            task = (self._runs, [ray.put(pack(setup))])
        left = (
            (index, pack(arguments))
            for index, arguments in enumerate(self._account.counted(setup, calls))
        )
        again: list[tuple[int, bytes]] = []
        done: dict[int, Any] = {}
        deaths: Counter[int] = Counter()
        turn = submitted = 0
        try:
            for number in range(self._places):
                if number not in self._workers:
                    self._start(number)
            while True:
                while worker := self._free():
                    if not again:
                        if submitted - turn < AHEAD * self._places:
                            again += islice(left, 1)
                        if not again:
                            break
                        submitted += 1
                    call = again.pop(0)
                    worker.calls[worker.actor.call.remote(*task, call[1])] = call
                if submitted == turn and self._any_ready():
                    break
                worker, ref = self._next()
                if worker is None:
                    continue
                try:
                    if ref == worker.hello:  # Ray Client returns equal references
                        self._welcome(worker)
                        continue
                    seconds, result = self._get(ref)
                except _Lost as lost:
                    calls_of = list(worker.calls.values())
                    self._start(worker.number)
                    again = sorted([*calls_of, *again])
                    if calls_of:
                        self._account.again += 1
                        self._blame(calls_of[0][0], deaths, worker, lost)
                    continue
                index, _ = worker.calls.pop(ref)
                worker.ahead = AHEAD if seconds < LONG else 1
                self._account.add(worker.node, seconds, index)
                done[index] = result
                while done and (not ordered or turn in done):
                    index = turn if ordered else next(iter(done))
                    turn += 1
                    yield index, done.pop(index)
        finally:
            self._clear()

    def _clear(self) -> None:
        """Let no call outlive the run: wait for short calls, end the workers of the others."""
        left = [ref for worker in self._workers.values() for ref in worker.calls]
        if left:  # the run did not reach its end
            with suppress(Exception):
                _, left = self._ray.wait(left, num_returns=len(left), timeout=LONG)
        for worker in list(self._workers.values()):
            if any(ref in left for ref in worker.calls):
                self._kill(worker)
            worker.calls.clear()

    def end(self) -> None:
        """End the workers."""
        for worker in list(self._workers.values()):
            self._kill(worker)

    def _start(self, number: int) -> None:
        """Start a worker; it replaces the one of the same number."""
        if number in self._workers:
            self._kill(self._workers[number])
        self._workers[number] = _Worker(number, self._kind.remote(number, str(Path.cwd())))

    def _kill(self, worker: _Worker) -> None:
        del self._workers[worker.number]
        with suppress(Exception):  # the worker or the connection has already ended
            self._ray.kill(worker.actor)

    def _free(self) -> _Worker | None:
        free = (each for each in self._workers.values() if each.free)
        return min(free, key=lambda each: len(each.calls), default=None)

    def _any_ready(self) -> bool:
        return any(each.hello is None for each in self._workers.values())

    def _next(self) -> tuple[_Worker | None, Any]:
        """Wait until a worker is ready or a call has ended, or for ``PATIENCE``."""
        waiting = {}
        for worker in self._workers.values():
            waiting.update(dict.fromkeys(worker.calls, worker))
            if worker.hello is not None:
                waiting[worker.hello] = worker
        found, _ = self._ray.wait(list(waiting), num_returns=1, timeout=PATIENCE)
        if found:
            return waiting[found[0]], found[0]
        if not self._any_ready():
            self._note("waiting for a free CPU or GPU of the Ray cluster")
        return None, None

    def _welcome(self, worker: _Worker) -> None:
        """Check the versions of a worker that has started."""
        try:
            node, found = self._get(worker.hello)
        except (_Lost, RuntimeError) as lost:
            if "No module named 'modalgap" in str(lost.__cause__):
                raise ModalgapError(
                    "a node of the Ray cluster has no modalgap, or another version: install"
                    f" modalgap {self._versions.modalgap} on all nodes"
                ) from None
            if not isinstance(lost, _Lost):
                raise
            self._failed += 1
            if self._failed >= DEATHS * self._places:
                raise ModalgapError(f"workers of the Ray cluster do not start ({lost})") from None
            raise
        self._failed = 0
        worker.hello, worker.node = None, f"node {node}"
        remark = self._versions.check(Versions.of(found), worker.node)
        if remark is not None:
            self._note(remark)

    def _note(self, message: str) -> None:
        if message not in self._noted:
            self._noted.add(message)  # once, not for each worker
            note(message)

    def _get(self, ref: Any) -> tuple[Any, Any]:
        """The two results of a method of ``Worker``.

        Raises:
            _Lost: the worker or its node has ended.
            Exception: the error that the call raised.
        """
        errors = self._ray.exceptions
        try:
            first, packed = self._ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, Exception) and not isinstance(error.cause, errors.RayError):
                raise error.cause from error
            raise
        except (errors.RayError, RuntimeError) as error:
            raise _Lost(error) from error
        result = pickle.loads(packed)  # noqa: S301 - of our own worker
        if isinstance(result, Failure):
            raise result.error
        return first, result

    def _blame(self, index: int, deaths: Counter[int], worker: _Worker, lost: _Lost) -> None:
        """Count a death of a worker during this call; the last that is allowed ends the run."""
        deaths[index] += 1
        if deaths[index] >= DEATHS:
            raise ModalgapError(
                f"workers died {DEATHS} times in the same call, possibly because memory ran out;"
                f" the last one on {worker.node} ({lost})"
            ) from None


class _Lost(Exception):  # noqa: N818 - not an error yet
    """A call has no result, because its worker or the node with the result has ended."""

    def __init__(self, error: Exception) -> None:
        super().__init__(first_line(error))


class Failure:
    """The result of a call that raised an error: Ray would wrap and print a raised one."""

    def __init__(self, error: ModalgapError) -> None:
        self.error = error


def total(ray: Any, kind: str) -> float:
    """CPUs or GPUs of the cluster."""
    return float(ray.cluster_resources().get(kind, 0.0))


def places(ray: Any, gpus: float) -> int:
    """Number of workers that the cluster can run."""
    most = total(ray, "CPU")
    if gpus:
        most = min(most, total(ray, "GPU") / gpus)
    return max(1, int(most))


def first_line(error: BaseException) -> str:
    """The first line of a message of Ray, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shortened(lines[0] if lines else type(error).__name__, 200)
