"""Damaged inputs for every reader: it must not crash, hang, use much memory or execute anything.

Each input is a valid one with one file changed. A reader must return, or raise a ``ModalgapError``
of one line. Inputs are read in child processes; one that ends a child is recorded as well.
"""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import mmap
import random
import resource
import shutil
import struct
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from modalgap.errors import ModalgapError
from reliability import child
from reliability.mutate import mutate
from reliability.targets import TARGETS, Target
from reliability.watch import Watch

SECONDS, BYTES = 10.0, 2_000_000_000  # limits for one input
BATCH, GUIDED = 2_000, 20_000  # inputs per child
ALIKE = 12
NUMBER = struct.Struct("<q")  # of the file that is replaced
COUNTER = struct.Struct("<qq")  # inputs tried, of which were refused


@dataclass
class Cases:
    """The valid inputs of a target, and the files that are changed.

    Attributes:
        files: those that are damaged, each with its content; of files of one input with one suffix
            the first ``ALIKE``.
        known: all files.
    """

    target: Target
    folder: Path
    files: list[tuple[Path, bytes]] = field(init=False)
    known: set[Path] = field(init=False)

    def __post_init__(self) -> None:
        valid = self.folder / "valid"
        self.target.make(valid)
        kinds: Counter[tuple[Path, str]] = Counter()
        self.files, self.known = [], set()
        for path in sorted(valid.rglob("*")):
            if path.is_file() and not path.is_symlink():
                self.known.add(path)
                kind = self.input_of(path), path.suffix
                kinds[kind] += 1
                if kinds[kind] <= ALIKE:
                    self.files.append((path, path.read_bytes()))
        for each in sorted(valid.iterdir()):
            try:
                self.target.read(each)
            except ModalgapError as error:
                raise ValueError(f"{each.name} must be valid: {error}") from error

    def input_of(self, path: Path) -> Path:
        """The folder of the input that a file belongs to."""
        valid = self.folder / "valid"
        return valid / path.relative_to(valid).parts[0]


def attempt(cases: Cases, number: int, content: bytes, watch: Watch) -> tuple[str, bool]:
    """Read an input with one file replaced; return the fault or "", and whether it was refused."""
    path, valid = cases.files[number]
    path.write_bytes(content)
    watch.seen.clear()
    fault, refused, began = "", False, time.monotonic()
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases.target.read(cases.input_of(path))
    except ModalgapError as error:
        refused = True
        if "\n" in str(error) or not str(error):
            fault = f"not one line: {error}"
    except BaseException as error:
        fault = describe(error)
    finally:
        faulthandler.cancel_dump_traceback_later()
        path.write_bytes(valid)
    if watch.seen:
        fault = f"forbidden: {watch.seen[0]}"
    elif not fault and time.monotonic() - began > SECONDS:
        fault = "took too long"
    return fault, refused


def describe(error: BaseException) -> str:
    """The type of an error and the innermost line of the package that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "modalgap" in each.filename] or frames
    last = own[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:150]}"


class Trial:
    """Tries inputs of a target in this process; faults are written to files."""

    def __init__(self, cases: Cases, faults: Path, shared: mmap.mmap) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.cases, self.faults, self.shared = cases, faults, shared
        self.contents = [content for _, content in cases.files]
        self._watch = Watch(cases.folder, faults)
        self._most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._tried = self._refused = 0

    def run(self, number: int, content: bytes) -> None:
        """Try an input in which one file has another content."""
        (self.cases.folder / "current").write_bytes(NUMBER.pack(number) + content)
        fault, refused = attempt(self.cases, number, content, self._watch)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if not fault and (now - self._most) * 1024 > BYTES:
            fault = f"needed {(now - self._most) / 1e6:.1f} GB"
        self._most = max(self._most, now)
        if fault:
            record(self.cases, number, content, fault, self.faults)
        self._tried, self._refused = self._tried + 1, self._refused + refused
        self.shared[: COUNTER.size] = COUNTER.pack(self._tried, self._refused)
        if self._tried % 200 == 0:
            gc.collect()
            tidy(self.cases)


def batch(cases: Cases, count: int, seed: str, faults: Path, shared: mmap.mmap) -> None:
    """Try random inputs."""
    trial, rng = Trial(cases, faults, shared), random.Random(seed)
    for _ in range(count):
        number = rng.randrange(len(cases.files))
        trial.run(number, mutate(trial.contents[number], rng, trial.contents))


def tidy(cases: Cases) -> None:
    """Remove what readers wrote beside the inputs."""
    for path in (cases.folder / "valid").rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in cases.known:
            path.unlink()


def record(cases: Cases, number: int, content: bytes, fault: str, faults: Path) -> None:
    """Store one input of each kind of fault."""
    path = cases.files[number][0]
    kind = hashlib.sha256(fault.partition(": ")[0].encode()).hexdigest()[:12]
    folder = faults / f"{cases.folder.name}-{kind}"
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(content)
        about = {"fault": fault, "file": str(path.relative_to(cases.folder / "valid"))}
        (folder / "about.json").write_text(json.dumps(about, indent=1))


def fuzz(
    name: str, count: int, seed: str, folder: Path, faults: Path, guided: bool = False
) -> Counter[str]:
    """Try ``count`` inputs of a target; count those tried and refused."""
    total: Counter[str] = Counter()
    cases = Cases(TARGETS[name], folder / name)
    try_some, size_of_batch = batch, BATCH
    if guided:
        from reliability import guide

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
