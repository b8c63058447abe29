"""Commands on a disk that becomes full or read-only, or with a limit on the size of files.

The disk fails at a random change of a file. The command must end with exit code 2 (0 if the failure
does not affect it) and without a traceback, and leave no incomplete file under its final name. When
there is room again, the same command must write the same bytes as an undisturbed run.
"""

from __future__ import annotations

import errno
import mmap
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from reliability import child
from reliability.commands import COMMANDS
from reliability.kill import (
    NEVER,
    UNFINISHED,
    differences,
    half,
    messages,
    place,
    prepare,
    refused_as_finished,
    started,
    tree,
)
from reliability.watch import NUMBER, fail_changes

ROOM = 4096  # bytes that a file may always have: the messages of the command

FAILS = {"zoo": (1,), "studies": (1,)}  # the exit code if some of the cells or studies failed


def limited(size: int) -> None:
    """Limit the size of every file that is written from now on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def troubles(folder: Path, changes: int, largest: int, rng: random.Random) -> Callable[[], None]:
    """Return a function that makes the disk of a command fail at a random moment."""
    kind = rng.choice(("full", "read-only", "limit"))
    if kind == "limit":
        return partial(limited, rng.randint(ROOM, max(ROOM, largest)))
    number = errno.ENOSPC if kind == "full" else errno.EROFS
    return partial(fail_changes, folder, rng.randrange(changes), number)


def disturb(name: str, runs: int, inputs: Path, folder: Path, rng: random.Random) -> list[str]:
    """Run one command on ``runs`` disks that fail; return the faults."""
    arguments = COMMANDS[name].format(out="out").split()
    here, changes = place(folder / "whole", inputs), mmap.mmap(-1, NUMBER.size)
    child.preload(child.command(arguments, here), here)
    here = place(folder / "again", inputs)
    if code := child.wait(started(arguments, here, NEVER, changes)):
        return [f"exit code {code}: {messages(here)}"]
    (count,) = NUMBER.unpack(changes[:])
    whole = tree(here)
    largest = max(map(len, whole.values()))
    faults: list[str] = []
    for _ in range(runs):
        here = place(folder / "disturbed", inputs)
        trouble, command = troubles(here, count, largest, rng), child.command(arguments, here)

        def run(
            trouble: Callable[[], None] = trouble, command: Callable[[], None] = command
        ) -> None:
            trouble()
            command()

        code = child.wait(child.start(run, here / "messages"))
        said = messages(here)
        what = getattr(trouble, "args", ())
        if code not in (0, 2, *FAILS.get(name, ())) or "Traceback" in said:
            faults.append(f"{what}: exit code {code}: {said}")
        faults += [f"{what}: half: {each}" for each in half(tree(here), whole)]
        code = child.wait(started(arguments, here, NEVER, changes))
        again, said = tree(here), messages(here)
        if refused_as_finished(code, said):
            again = {name: each for name, each in again.items() if not UNFINISHED.search(name)}
        elif code:
            faults.append(f"{what}: resumed: exit code {code}: {said}")
        if again != whole:
            faults.append(f"{what}: resumed: {differences(again, whole)}")
        if faults:  # what it left is kept by --keep
            break
    return faults


def main(runs: int, seed: str, only: Iterable[str], folder: Path) -> int:
    """Disturb every command; return 1 if there is a fault."""
    names = [*only] or [*COMMANDS]
    rng = random.Random(seed)
    began = time.monotonic()
    inputs = prepare(folder / "prepared")
    total: Counter[str] = Counter()
    for i, name in enumerate(names):
        share = runs * (i + 1) // len(names) - runs * i // len(names)
        faults = disturb(name, share, inputs, folder, rng)
        print(f"{name:<24}{share:5} disks {len(faults):4} faults", flush=True)
        for fault in faults:
            print(f"    {fault}", flush=True)
        total.update(disks=share, faults=len(faults))
    print(
        f"{total['disks']} disks, {total['faults']} faults;"
        f" {(time.monotonic() - began) / 60:.1f} min; seed {seed}"
    )
    return int(total["faults"] > 0)
