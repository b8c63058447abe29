"""Damaged inputs for every reader: it must not crash, hang, use much memory or execute anything.

Each input is a valid one with one file changed. A reader must return, or raise a ``ModalgapError``
of one line. Inputs are read in child processes; one that ends a child is recorded as well.
"""

from __future__ import annotations

import json
import mmap
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from reliability import child
from reliability.mutate import mutate
from reliability.targets import TARGETS
from reliability.trial import COUNTER, NUMBER, Cases, Trial, record

BATCH, GUIDED = 2_000, 20_000  # inputs per child


def batch(cases: Cases, count: int, seed: str, faults: Path, shared: mmap.mmap) -> None:
    """Try random inputs."""
    trial, rng = Trial(cases, faults, shared), random.Random(seed)
    for _ in range(count):
        number = rng.randrange(len(cases.files))
        trial.run(number, mutate(trial.contents[number], rng, trial.contents))


def fuzz(
    name: str, count: int, seed: str, folder: Path, faults: Path, guided: bool = False
) -> Counter[str]:
    """Try ``count`` inputs of a target; count those tried and refused."""
    total: Counter[str] = Counter()
    cases = Cases(TARGETS[name], folder / name)
    try_some, size_of_batch = batch, BATCH
    if guided:
        from reliability import guide  # Atheris has no wheel for every Python

        guide.instrument()
        try_some, size_of_batch = guide.batch, GUIDED
    shared = mmap.mmap(-1, COUNTER.size)
    start = 0
    while start < count:
        shared[: COUNTER.size] = COUNTER.pack(0, 0)
        size = min(size_of_batch, count - start)
        messages = folder / f"{name}.txt"
        messages.unlink(missing_ok=True)
        chosen = f"{seed} {name} {start}"
        process = child.start(partial(try_some, cases, size, chosen, faults, shared), messages)
        code = child.wait(process, 3600)
        child.kill(process)  # what it started
        tried, refused = COUNTER.unpack(shared[: COUNTER.size])
        if code:
            tried += 1
            said = messages.read_text(errors="replace")
            current = (cases.folder / "current").read_bytes()
            where = next((line.strip() for line in said.splitlines() if "modalgap" in line), "")
            fault = f"process ended ({code}) {where}: {said[-400:]}"
            record(cases, NUMBER.unpack(current[:8])[0], current[8:], fault, faults)
        for path, content in cases.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        total.update(tried=tried, refused=refused)
        start += tried
    return total


def main(
    inputs: int, seed: str, only: Iterable[str], folder: Path, faults: Path, guided: bool
) -> int:
    """Fuzz the targets by their shares; return 1 if there is a fault."""
    names = [*only] or [*TARGETS]
    whole = sum(TARGETS[name].share for name in names)
    total: Counter[str] = Counter()
    share, planned = 0.0, 0
    began = time.monotonic()
    for name in names:
        start = time.monotonic()
        share += TARGETS[name].share
        count = round(inputs * share / whole) - planned
        planned += count
        before = {path.name for path in faults.glob("*")}
        found = fuzz(name, count, seed, folder, faults, guided)
        new = [path for path in sorted(faults.glob("*")) if path.name not in before]
        print(
            f"{name:<12}{found['tried']:>9,} inputs {found['refused']:>9,} refused {len(new):>4}"
            f" kinds of fault {found['tried'] / (time.monotonic() - start):8.0f} per second",
            flush=True,
        )
        for path in new:
            print("   ", json.loads((path / "about.json").read_text())["fault"][:300], flush=True)
        total.update(found)
        total["kinds"] += len(new)
        shutil.rmtree(folder / name)
    print(
        f"{total['tried']:,} inputs, {total['refused']:,} refused, {total['kinds']} kinds of fault;"
        f" {(time.monotonic() - began) / 60:.1f} min; seed {seed}"
    )
    return int(total["kinds"] > 0)
