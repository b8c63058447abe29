"""Processes that the tests of ending start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modalgap.train.log import read_log

HERE = Path(__file__).parents[1]
RULE = 10.0  # seconds
BUSY = 3.0  # times as long, on a machine that does something else
MARK = "MODALGAP_TESTED"
BEGIN = 900.0  # seconds that a start may take, also on a busy machine


class Started:
    """A command whose environment marks each process that it starts."""

    def __init__(self, arguments: list[object], output: Path) -> None:
        self.said = output
        with output.open("w") as file:
            self.child = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=file, stderr=file, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", MARK: str(output)},
            )  # fmt: skip

    def processes(self) -> dict[int, dict[str, str]]:
        """Process to its environment."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                pairs = (path / "environ").read_text().split("\0")
            except OSError:  # it has ended
                continue
            environment = dict(each.split("=", 1) for each in pairs if "=" in each)
            if environment.get(MARK) == str(self.said):
                found[int(path.name)] = environment
        return found

    def rank(self, rank: int) -> int:
        """The process of that rank."""
        (found,) = (
            process
            for process, environment in self.processes().items()
            if environment.get("LOCAL_RANK", "") == str(rank)
        )
        return found

    def text(self) -> str:
        return self.said.read_text()

    def until(self, there: Callable[[], object]) -> None:
        """Wait for something to happen."""
        end = time.monotonic() + BEGIN
        while not there():
            assert self.child.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def ended(self, limit: float = RULE * BUSY) -> int:
        """The exit code, once no process is left: within the rule, or ``limit`` seconds."""
        end = time.monotonic() + limit
        while self.child.poll() is None or self.processes():
            assert time.monotonic() < end, (self.processes().keys(), self.text())
            time.sleep(0.02)
        assert "Traceback" not in self.text()
        return self.child.returncode

    def close(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.child.wait()


def steps(folder: Path) -> int:
    return max((line["step"] for line in read_log(folder)), default=0)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*"))


ENDLESS: dict[str, Any] = {
    "steps": 10**6, "checkpoint": {"every": 10**6}, "watch": {"measure": 0},
}  # fmt: skip
