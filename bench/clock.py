"""Time and memory, measured so that two things can be compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    target: str
    met: bool


def seconds(*works: Callable[[], object], rounds: int = 5) -> list[float]:
    """Median seconds of each piece of work, run in turn so that a slow moment meets them all."""
    found: list[list[float]] = [[] for _ in works]
    for work in works:
        work()  # warm
    for _ in range(rounds):
        for times, work in zip(found, works, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return [median(times) for times in found]


def peak_growth(work: Callable[[], object]) -> int:
    """Bytes by which resident memory at its highest exceeds what it was before (Linux)."""
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    work()
    return _status("VmHWM") - before


def resident_peak() -> int:
    """Bytes of resident memory at its highest, the interpreter and torch included (Linux)."""
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
