"""Work for the workers of a cluster, which import this file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.work import executor

SPANS = [(a, a + 61) for a in range(0, 976, 61)]


class Sums:
    """Sums of rows, as a verb computes them: a setup with state, whose calls leave marks.

    Args:
        folder: for marks. Each setup writes a file, so that they can be counted.
        ends: index of the call that ends its worker.
        times: how many times it does.
    """

    def __init__(self, folder: Path, ends: int = -1, times: int = 0) -> None:
        self.folder, self.ends, self.times = folder, ends, times
        self.rows = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)

    def __call__(self, worker: int) -> Callable[[int, int], Any]:
        (self.folder / f"setup {worker} {os.getpid()}").touch()
        model = {"calls": 0}  # state: a worker that starts again has it from the setup

        def sums(a: int, b: int) -> dict[str, Any]:
            model["calls"] += 1
            if a == self.ends:
                died = len(list(self.folder.glob("died *")))
                if died < self.times:
                    (self.folder / f"died {died}").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.01 * (a % 3))
            rows = self.rows[a:b]
            rows *= 1  # is writable, unlike what Ray itself unpickles
            return {
                "sums": rows.astype(np.float64).sum(0),
                "products": rows.T @ rows,
                "inner": executor().local,
                "process": os.getpid(),
            }

        return sums

    def setups(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("setup *"))


def plain(results: Iterable[tuple[int, dict[str, Any]]]) -> list[tuple[int, bytes, bytes, bool]]:
    """What must be equal, to the bit."""
    return [
        (index, each["sums"].tobytes(), each["products"].tobytes(), each["inner"])
        for index, each in results
    ]


class OnGpu:
    """A setup that asks for a GPU: which one the worker sees."""

    gpus = 1.0

    def __call__(self, _worker: int) -> Callable[[], str]:
        return lambda: os.environ.get("CUDA_VISIBLE_DEVICES", "")


def dying(_worker: int) -> Callable[..., int]:
    os._exit(1)


def waiting(folder: Path) -> Callable[[int], Callable[[int], int]]:
    """Calls that wait, but the first two."""

    def setup(_worker: int) -> Callable[[int], int]:
        def wait(a: int) -> int:
            (folder / f"call {a}").write_text(str(os.getpid()))
            while a > 1 and not (folder / "go").exists():
                time.sleep(0.05)
            return os.getpid()

        return wait

    return setup


class Odd(Exception):  # noqa: N818 - an error that cannot be unpickled, as some libraries have
    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def odd(_worker: int) -> Any:
    def fail(*_arguments: Any) -> None:
        raise Odd("row 3", "is odd")

    return fail


class Unknown:
    """Work that another process cannot load, as what is defined at a prompt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return attrgetter("missing"), (0,)
