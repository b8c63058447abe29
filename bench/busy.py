"""Commands on a machine that is busy, several at once, and how long they take to start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from bench.clock import Row, seconds

CORES = len(os.sched_getaffinity(0))
# computes until it is ended, or until the bench is gone
LOOP = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    for _ in range(10**6):
        pass
"""


@contextmanager
def busy(count: int = CORES) -> Iterator[list[int]]:
    """``count`` processes that compute all the time; yields their ids and ends each by its id."""
    loops: list[subprocess.Popen[bytes]] = []
    try:
        loops.extend(
            subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE)
            for _ in range(count)
        )
        for loop in loops:
            assert loop.stdout is not None
            loop.stdout.readline()  # it runs
        yield [loop.pid for loop in loops]
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.communicate()


def elapsed(*commands: Sequence[str]) -> float:
    """Seconds until the slowest of these processes, started together, has ended."""
    start = time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
        for command in commands
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"{' '.join(commands[0])} ended with {codes}")
    return time.perf_counter() - start


def busy_machine() -> Iterator[Row]:
    """Commands beside one busy process per core, and as many copies of one as there are cores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure, report, compare, train = commands(folder)
        for what, command, rounds in (
            ("measure", measure, 3),
            ("report", report, 3),
            ("compare", compare, 1),
            ("train, 50 steps", train, 1),
        ):
            yield _beside(what, command, rounds)
        elapsed(measure())
        alone, together = [], []
        for _ in range(5):
            alone.append(elapsed(measure()))
            together.append(elapsed(*(measure() for _ in range(CORES))))
        ratio = median(together) / median(alone)
        what = f"measure, {CORES} at once: the slowest over one alone ({median(alone):.1f} s)"
        yield Row(what, f"{ratio:.2f} x", "<= 1.4 x", ratio <= 1.4)


def commands(folder: Path) -> list[Callable[[], list[str]]]:
    """measure, report, compare, train: each call gives the arguments of a new process."""
    pair = folder / "pair.npy"
    np.save(pair, pairs())
    count = iter(range(10**6))

    def command(*arguments: str) -> Callable[[], list[str]]:
        return lambda: [
            *("-m", "modalgap"),
            *(each.format(new=folder / f"new{next(count)}") for each in arguments),
        ]

    train = ["train", "mad", "-o", "{new}", "--set", "steps=50", "--set", "watch.measure=0"]
    return [
        command("measure", str(pair)),
        command("report", str(pair), "-o", "{new}.html"),
        command("compare", str(pair)),
        command(*train),
    ]


def pairs(n: int = 500, d: int = 512) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(2, n, d): n pairs that resemble one another, with a gap between the modalities."""
    random = np.random.default_rng(0)
    shared = random.standard_normal((n, d))
    sides = [shared + random.standard_normal((n, d)) + 2 * random.standard_normal(d) for _ in "it"]
    rows = np.stack(sides)
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(unit, np.float32)


def _beside(what: str, command: Callable[[], list[str]], rounds: int) -> Row:
    elapsed(command())  # the files are in memory
    idle, slow = [], []
    for _ in range(rounds):
        idle.append(elapsed(command()))
        with busy():
            slow.append(elapsed(command()))
    ratio = median(slow) / median(idle)
    what = f"{what}, beside one busy process per core, over idle ({median(idle):.1f} s)"
    return Row(what, f"{ratio:.2f} x", "<= 3 x", ratio <= 3)


def startup() -> list[Row]:
    """Commands against the imports that they cannot avoid."""
    with tempfile.TemporaryDirectory() as name:
        measure, report, *_ = commands(Path(name))
        bare, shown, imported, torch, measured, reported = seconds(
            lambda: elapsed(["-c", ""]),
            lambda: elapsed(["-m", "modalgap", "--help"]),
            lambda: elapsed(["-c", "import modalgap"]),
            lambda: elapsed(["-c", "import torch"]),
            lambda: elapsed(measure()),
            lambda: elapsed(report()),
        )
    return [
        _ratio("modalgap --help, over a bare interpreter", shown, bare, 15),
        _ratio("modalgap measure of 500 pairs, over importing torch", measured, torch, 2),
        _ratio("modalgap report of 500 pairs, over importing torch", reported, torch, 3),
        Row(
            "import modalgap, beyond a bare interpreter",
            f"{imported - bare:.3f} s",
            "< 0.1 s",
            imported - bare < 0.1,
        ),
    ]


def _ratio(what: str, ours: float, floor: float, most: float) -> Row:
    return Row(
        f"{what} ({ours:.2f} s)", f"{ours / floor:.1f} x", f"<= {most:g} x", ours <= most * floor
    )
