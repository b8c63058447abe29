"""A Ray cluster as an executor. The only file that imports ray, when it is used.

Each worker is an actor with one CPU, and with GPUs if the setup asks for them. It gets the setup
with its first call of a run and keeps the function that the setup returns, such as an encoder with
its model. If a worker dies, its calls run again on other workers, and a new worker starts when a
CPU is free.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import TracebackType
from typing import Any, TypeVar

from modalgap.errors import ModalgapError
from modalgap.extras import import_extra
from modalgap.progress import note
from modalgap.work.account import Account
from modalgap.work.crew import Crew, Failure, first_line, places, total
from modalgap.work.executors import Call, Setup
from modalgap.work.versions import Versions

T = TypeVar("T")
ADDRESS = "RAY_ADDRESS"  # variables of Ray itself
USAGE = "RAY_USAGE_STATS_ENABLED"
CLIENT_PORT = 10001
REACH = 10.0  # seconds to wait until an address answers
BUSY = "Starting Ray client server failed"  # the head node did not start it within its time limit
STORE = 256_000_000  # bytes of the object store of a Ray that is started here


class Ray:
    """The workers of a Ray cluster; a context manager, which closes the connection.

    Nothing is started before the first use.

    Args:
        address: "ray://HOST:PORT" is a cluster through Ray Client. None is the cluster of the
            environment variable RAY_ADDRESS, or, if it is not set, a Ray on this machine that is
            started and ended here. If the program has called ``ray.init`` itself, that Ray is used
            and stays.

    Attributes:
        account: calls and seconds of each node.
    """

    local = False

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.account = Account()
        self._ray: Any = None
        self._ours = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._crew: Crew | None = None

    def __repr__(self) -> str:
        return f"Ray({self.address!r})" if self.address else "Ray()"

    @property
    def count(self) -> int:
        """Number of workers of the cluster without GPUs; connects to it."""
        return places(self._open(), 0.0)

    def run(
        self, setup: Setup[T], calls: Iterable[Call], *, ordered: bool = True
    ) -> Generator[tuple[int, T]]:
        """Yield (index of the call, its result).

        Raises:
            ModalgapError: the cluster is not reachable, or a worker cannot compute: it has another
                version of modalgap, or three workers died in the same call.
        """
        ray = self._open()
        gpus = float(getattr(setup, "gpus", 0.0)) if total(ray, "GPU") else 0.0
        if self._crew is None or self._crew.gpus != gpus:
            if self._crew is not None:
                self._crew.end()  # their CPUs are needed
            self._crew = Crew(ray, Worker, gpus, self.account)
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
        for again in (True, False):
            try:
                with nullcontext() if "://" in address else _uninterrupted():
                    ray.init(**given)
                return
            except (OSError, RuntimeError, ValueError, TimeoutError) as error:
                with suppress(Exception):
                    ray.shutdown()
                if again and BUSY in str(error):
                    continue
                what = (
                    "Ray cannot be started" if address == "local" else f"{address}: no Ray cluster"
                )
                raise ModalgapError(f"{what} ({first_line(error)})") from error


class Worker:
    """The actor: it keeps the function that the setup of the current run returned."""

    def __init__(self, number: int, folder: str) -> None:
        self._number, self._run = number, 0
        self._function: Callable[..., Any]
        with suppress(OSError):  # relative paths mean the same as where the run was started
            os.chdir(folder)

    def hello(self) -> tuple[str, bytes]:
        """The address of the node, and the pickled versions."""
        import ray
        import torch

        torch.set_num_threads(1)  # the actor has one CPU
        return ray.util.get_node_ip_address(), pickle.dumps(vars(Versions.here()))

    def call(self, run: int, setup: list[Any], arguments: bytes) -> tuple[float, bytes]:
        """The seconds of a call, and its pickled result or ``Failure``."""
        import ray

        began = time.monotonic()
        try:
            if run != self._run:
                self._function = _loaded(ray.get(setup[0]))(self._number)
                self._run = run
            result = self._function(*_loaded(arguments))
        except ModalgapError as error:
            result = Failure(error)
        return time.monotonic() - began, ray.cloudpickle.dumps(result)


def _loaded(sent: bytes) -> Any:
    """The object that the driver sent.

    Raises:
        ModalgapError: it needs a module that this node does not have.
    """
    try:
        return pickle.loads(sent)  # noqa: S301 - of the driver
    except ImportError as error:
        raise ModalgapError(
            f"a Ray worker cannot import what the work needs ({error}); install it on all nodes"
        ) from error


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
        raise ModalgapError(
            f"the address of a Ray cluster must be HOST:PORT or ray://HOST:PORT; got {address}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        raise ModalgapError(
            f"{address}: no Ray cluster answers ({error.strerror or error})"
        ) from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C: it would leave Ray's library half-made, which then crashes at the exit.

    ``ending.delayed`` would block the signals in the processes that Ray starts, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off the usage reports and warnings of Ray, and restore our signal handlers."""
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
    """Set whether Ray prints deaths of workers on stdout, where modalgap prints results."""
    with suppress(AttributeError):  # private: Ray has no public setting for this
        ray._private.worker._worker_logs_enabled = yes
