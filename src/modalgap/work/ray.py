"""A Ray cluster as an executor. The only file that imports ray, when it is used.

Each worker is an actor with one CPU, and a part of the GPUs if the setup asks for them. It is told
the setup with its first call and keeps the function, such as an encoder with its model. If a worker
dies, its calls run again on another one, and a new worker starts when there is room for it.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import socket
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from modalgap.errors import ModalgapError, shortened
from modalgap.extras import import_extra
from modalgap.progress import note
from modalgap.work.account import Account
from modalgap.work.executors import Call, Setup
from modalgap.work.versions import Versions

T = TypeVar("T")
ADDRESS = "RAY_ADDRESS"  # variables of Ray itself
USAGE = "RAY_USAGE_STATS_ENABLED"
CLIENT_PORT = 10001
REACH = 10.0  # seconds to wait for an answer of an address
STORE = 256_000_000  # bytes of the object store of a Ray that is started here
AHEAD = 2  # calls per worker that are submitted before their results are read
LONG = 0.5  # seconds of a call beside which the time to submit the next one does not count
DEATHS = 3  # workers that may die of one call
PATIENCE = 20.0  # seconds without a worker before a note says why nothing happens


class Ray:
    """The workers of a Ray cluster; a context manager, which closes the connection.

    Nothing is started before the first use.

    Args:
        address: "ray://HOST:PORT" is a cluster through Ray Client. None is the cluster of the
            environment variable RAY_ADDRESS, or, if it is not set, a Ray on this machine that is
            started and ended here. If the program has called ``ray.init`` itself, that Ray is used
            and stays.

    Attributes:
        account: what each node did.
    """

    local = False

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.account = Account()
        self._ray: Any = None
        self._ours = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._crew: _Crew | None = None

    def __repr__(self) -> str:
        return f"Ray({self.address!r})" if self.address else "Ray()"

    @property
    def count(self) -> int:
        """Number of workers of the cluster without GPUs; connects to it."""
        return _places(self._open(), 0.0)

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        Raises:
            ModalgapError: the cluster is not reachable, or a worker cannot compute: it has another
                version of modalgap, or dies again and again of one call.
        """
        ray = self._open()
        gpus = float(getattr(setup, "gpus", 0.0)) if _total(ray, "GPU") else 0.0
        if self._crew is None or self._crew.gpus != gpus:
            if self._crew is not None:
                self._crew.end()  # their CPUs are needed
            self._crew = _Crew(ray, gpus, self.account)
        yield from self._crew.run(setup, calls, ordered=ordered)

    def __enter__(self) -> Ray:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, and the Ray or the connection that was started here."""
        crew, self._crew = self._crew, None
        ray, self._ray = self._ray, None
        try:
            if crew is not None:
                crew.end()
            if ray is not None and self._ours:
                with _quiet():
                    ray.shutdown()
                _print(ray, True)
        finally:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _open(self) -> Any:
        """The module, connected to the cluster."""
        if self._ray is not None:
            return self._ray
        address = self.address or os.environ.get(ADDRESS) or "local"
        _reach(address)
        with _quiet():
            ray = import_extra("ray", "ray", "the Ray executor")
            self._ours = not ray.is_initialized()
            if self._ours:
                _print(ray, False)
                self._connect(ray, address)
        self._ray = ray
        return ray

    def _connect(self, ray: Any, address: str) -> None:
        given: dict[str, Any] = {"address": address, "log_to_driver": False}
        if address == "local":
            note("starting Ray on this machine")
            given |= {"include_dashboard": False, "object_store_memory": STORE}
            self._folder = tempfile.TemporaryDirectory(prefix="mg-ray-", ignore_cleanup_errors=True)
            if len(self._folder.name) < 40:  # names of sockets in it have at most 107 bytes
                given["_temp_dir"] = self._folder.name
        if "://" in address:
            logging.getLogger("ray.client_builder").setLevel(logging.ERROR)
            logging.getLogger("ray.util.client.logsclient").addHandler(logging.NullHandler())
        else:
            given["logging_level"] = "ERROR"
        try:
            ray.init(**given)
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            with suppress(Exception):
                ray.shutdown()
            what = "Ray cannot be started" if address == "local" else f"{address}: no Ray cluster"
            raise ModalgapError(f"{what} ({_first(error)})") from error


class _Worker:
    """An actor, as the driver sees it.

    Attributes:
        number: of the worker.
        actor: its handle.
        hello: reference to its versions; None once it is ready.
        node: its node, once it is ready.
        ahead: calls that it gets before the results are read. A call never waits behind a long
            one while another worker is idle.
        calls: reference to each of its calls, oldest first; the index and the arguments.
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


class _Crew:
    """The workers of one cluster, kept between runs.

    Ray would restart an actor and run its calls again there. The calls would then wait for a node
    that never returns, so this class moves them to another worker itself.
    """

    def __init__(self, ray: Any, gpus: float, account: Account) -> None:
        self.gpus, self._ray, self._account = gpus, ray, account
        self._versions = Versions.here()
        self._noted: set[str] = set()
        self._runs = self._failed = 0
        self._kind = ray.remote(num_cpus=1, num_gpus=gpus)(Worker)
        self._workers: dict[int, _Worker] = {}
        self._places = _places(ray, gpus)

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool
    ) -> Generator[tuple[int, T]]:
        """``Ray.run``."""
        ray, pack = self._ray, self._ray.cloudpickle.dumps
        self._runs += 1
        # bytes, because arrays that Ray itself unpickles are read-only; a reference in a list is
        # not resolved for each call
        task = (self._runs, [ray.put(pack(setup))])
        left = ((index, pack(arguments)) for index, arguments in enumerate(calls))
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
                self._account.add(worker.node, seconds)
                done[index] = result
                while done and (not ordered or turn in done):
                    index = turn if ordered else next(iter(done))
                    turn += 1
                    yield index, done.pop(index)
        finally:
            self._clear()

    def _clear(self) -> None:
        """Leave no call: short ones end, and the workers of others are ended."""
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
        """Start a worker, in place of one that has ended."""
        if number in self._workers:
            self._kill(self._workers[number])
        self._workers[number] = _Worker(number, self._kind.remote(number))

    def _kill(self, worker: _Worker) -> None:
        del self._workers[worker.number]
        with suppress(Exception):  # it has ended, or the connection has
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
        except _Lost as lost:
            if "No module named 'modalgap" in lost.whole:
                raise ModalgapError(
                    "a node of the Ray cluster has no modalgap, or another version: install"
                    f" modalgap {self._versions.modalgap} on all nodes"
                ) from None
            self._failed += 1
            if self._failed >= DEATHS * self._places:
                raise ModalgapError(f"workers of the Ray cluster do not start ({lost})") from None
            raise
        self._failed = 0
        worker.hello, worker.node = None, f"node {node}"
        remark = self._versions.check(Versions(**found), worker.node)
        if remark is not None:
            self._note(remark)

    def _note(self, message: str) -> None:
        if message not in self._noted:
            self._noted.add(message)
            note(message)

    def _get(self, ref: Any) -> tuple[Any, Any]:
        """The two results of a method of ``Worker``; an error of the work is raised as it is."""
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
        if isinstance(result, _Failure):
            raise result.error
        return first, result

    def _blame(self, index: int, deaths: Counter[int], worker: _Worker, lost: _Lost) -> None:
        """Count a death; stop if workers die of this call again and again."""
        deaths[index] += 1
        if deaths[index] >= DEATHS:
            raise ModalgapError(
                f"workers died {DEATHS} times in the same call, possibly because memory ran out;"
                f" the last one on {worker.node} ({lost})"
            ) from None


class _Lost(Exception):  # noqa: N818 - not an error yet
    """A call has no result, because its worker or the node with the result has ended."""

    def __init__(self, error: Exception) -> None:
        self.whole = str(error)
        super().__init__(_first(error))


class _Failure:
    """An error of the work, as a result: Ray would wrap and print it."""

    def __init__(self, error: ModalgapError) -> None:
        self.error = error


class Worker:
    """The actor: it keeps the function that the setup of the current run returned."""

    def __init__(self, number: int) -> None:
        self._number, self._run = number, 0
        self._function: Callable[..., Any]

    def hello(self) -> tuple[str, bytes]:
        """The address of the node, and the versions."""
        import ray
        import torch

        torch.set_num_threads(1)  # as many as CPUs
        return ray.util.get_node_ip_address(), pickle.dumps(vars(Versions.here()))

    def call(self, run: int, setup: list[Any], arguments: bytes) -> tuple[float, bytes]:
        """The seconds of a call, and its result or error."""
        import ray

        began = time.monotonic()
        try:
            if run != self._run:
                self._function = _loaded(ray.get(setup[0]))(self._number)
                self._run = run
            result = self._function(*_loaded(arguments))
        except ModalgapError as error:
            result = _Failure(error)
        return time.monotonic() - began, ray.cloudpickle.dumps(result)


def _loaded(sent: bytes) -> Any:
    """What the driver sent.

    Raises:
        ModalgapError: it needs a module that is not on this node.
    """
    try:
        return pickle.loads(sent)  # noqa: S301 - of the driver
    except ImportError as error:
        raise ModalgapError(
            f"a Ray worker cannot import what the work needs ({error}); install it on all nodes"
        ) from error


def _total(ray: Any, kind: str) -> float:
    return float(ray.cluster_resources().get(kind, 0.0))


def _places(ray: Any, gpus: float) -> int:
    """Number of workers that the cluster can run."""
    places = _total(ray, "CPU")
    if gpus:
        places = min(places, _total(ray, "GPU") / gpus)
    return max(1, int(places))


def _reach(address: str) -> None:
    """Refuse an address at which nothing answers: Ray itself would try for minutes.

    Raises:
        ModalgapError: nothing answers.
    """
    if address in ("local", "auto"):
        return
    host, _, port = address.removeprefix("ray://").partition("/")[0].rpartition(":")
    if not host or port.endswith("]"):
        host, port = f"{host}:{port}" if host else port, str(CLIENT_PORT)
    if not port.isdigit() or int(port) > 65535:
        raise ModalgapError(f"{address}: must be HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        raise ModalgapError(
            f"{address}: no Ray cluster answers ({error.strerror or error})"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No reports of usage, no warnings of Ray, and our own signal handlers."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    told = os.environ.get(USAGE)
    os.environ[USAGE] = "0"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if told is None:
            del os.environ[USAGE]
        else:
            os.environ[USAGE] = told
        for each, handler in before.items():
            signal.signal(each, handler)


def _print(ray: Any, yes: bool) -> None:
    """Whether Ray prints on stdout, where results are, that a worker has died."""
    with suppress(AttributeError):  # private, and without another way to say it
        ray._private.worker._worker_logs_enabled = yes


def _first(error: BaseException) -> str:
    """What a message of Ray says, in one line without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shortened(lines[0] if lines else type(error).__name__, 200)
