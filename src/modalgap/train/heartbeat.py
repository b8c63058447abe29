"""The processes of a run: detect a dead or stopped process, and limit the wait for it.

Each process writes a counter and its step to a store on the first process. A collective that
cannot end, because a process is dead, stopped or far behind, has a time limit: after it the other
processes report which process is missing, and end.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from modalgap.ending import leave
from modalgap.errors import ModalgapError

BEAT = 0.5  # seconds between two heartbeats
LISTEN = 2.0  # seconds in which a live process sends a heartbeat
ANSWER = 3.0  # timeout of the store, in seconds
RESUME = "the same command resumes from the newest checkpoint"


class Peers:
    """The processes of this run: a context manager.

    Args:
        fabric: the Lightning Fabric, launched.
        limit: maximum seconds of a step; then the process ends.

    Attributes:
        step: the current step of this process; None between steps.
    """

    def __init__(self, fabric: Any, limit: float) -> None:
        self.rank, self.world = int(fabric.global_rank), int(fabric.world_size)
        self.limit = limit
        self.step: int | None = None
        self._reached = -1
        self._count = 0
        self._children = [(self.rank + i, each) for i, each in enumerate(_children(), start=1)]
        self._done = threading.Event()
        host = os.environ.get("MASTER_ADDR", "127.0.0.1")
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=ANSWER), "wait_for_workers": False
        }  # fmt: skip
        if self.rank == 0:
            self._store = TCPStore(host, 0, is_master=True, **options)
        port = int(fabric.broadcast(self._store.port if self.rank == 0 else 0))
        if self.rank:
            self._store = TCPStore(host, port, is_master=False, **options)
        self._thread = threading.Thread(target=self._beat, name="peers", daemon=True)

    def __enter__(self) -> Peers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def missing(self) -> list[int]:
        """Ranks that do not answer; if all answer, those that are behind this process."""
        if gone := self._gone():
            return gone
        if (before := self._signs()) is None:
            return [0]
        time.sleep(LISTEN)
        if (after := self._signs()) is None:
            return [0]
        others = [rank for rank in range(self.world) if rank != self.rank]
        silent = [rank for rank in others if after.get(rank) == before.get(rank)]
        time.sleep(LISTEN)  # others listen to this process
        return silent or [rank for rank in others if after[rank][1] < self._reached]

    def report(self, reason: str) -> str:
        """One line that names the missing processes."""
        found = self.missing()
        if not found:
            return f"the {self.world} processes of the run do not agree ({reason}); {RESUME}"
        names = ", ".join(map(str, found))
        many = "ranks" if len(found) > 1 else "rank"
        return f"{many} {names} of {self.world} processes: missing ({reason}); {RESUME}"

    def _gone(self) -> list[int]:
        """Ranks of the processes started here that failed."""
        return [rank for rank, child in self._children if child.poll()]

    def _signs(self) -> dict[int, tuple[int, int]] | None:
        """Maps a rank to (counter, step); None if the store does not answer."""
        found: dict[int, tuple[int, int]] = {}

        def read() -> None:
            with suppress(RuntimeError):
                for rank in range(self.world):
                    if self._store.check([f"rank {rank}"]):
                        count, step = self._store.get(f"rank {rank}").split()
                        found[rank] = int(count), int(step)
                whole.set()

        whole = threading.Event()
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(ANSWER)  # if the first process is stopped, reading never ends
        return dict(found) if whole.is_set() else None

    def _beat(self) -> None:
        still = 0
        while not self._done.wait(BEAT):
            self._count += 1
            step = self.step
            still = still + 1 if step == self._reached else 0
            self._reached = self._reached if step is None else step
            reached = True
            try:
                self._store.set(f"rank {self.rank}", f"{self._count} {self._reached}")
            except RuntimeError:
                reached = False
            if (self._gone() or not reached) and not self._done.wait(LISTEN + ANSWER):
                self._leave("ended early")  # the main thread still waits for it
            if still * BEAT > self.limit:  # counts own beats: a paused process does not wait
                self._leave(f"step {step} has taken {self.limit:g} s")

    def _leave(self, reason: str) -> None:
        message = self.report(reason)
        if self._done.is_set():
            return
        for _, child in self._children:
            child.kill()
        leave(message, 1)


@contextmanager
def explained(peers: Peers | None) -> Iterator[None]:
    """Turn the error of a collective into one line that names the missing process.

    Raises:
        ModalgapError: a process is missing.
    """
    try:
        yield
    except RuntimeError as error:
        if peers is None or isinstance(error, ModalgapError) or not _of_collective(error):
            raise
        raise ModalgapError(peers.report("a collective failed")) from error


def _of_collective(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _children() -> list[Any]:
    """The processes that Fabric started here; its own observer would kill all without a message."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            result = list(getattr(thread, "_child_processes", []))
            thread._child_processes = []  # type: ignore[attr-defined]
            return result
    return []
