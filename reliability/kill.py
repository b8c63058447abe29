"""``kill -9`` at random moments of every command that writes; the same command then resumes.

Half of the kills are at a random time, half right before a random change of a file. After each
kill, no file under its final name may be incomplete. After the last kill, the same command must
write the same bytes as an undisturbed run, and leave no other files.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reliability import child
from reliability.commands import COMMANDS, MADE, write_inputs
from reliability.watch import NUMBER, count_changes

# what no two runs share: times and speeds, in records and logs
VARIES = re.compile(
    rb'"(seconds|started|ended|created|time|date|pairs_per_second|rate|took)[^"]*":\s*("[^"]*"|[^,}\s]+)'
    rb"|\d+ seconds\b"
)
UNFINISHED = re.compile(r"(^|/)(\.modalgap-[^/]*(/.*)?|[^/]*\.parts(/.*)?|[^/]*lock)$")
NEVER = 2**60
Tree = dict[str, bytes]


@dataclass
class Outcome:
    """What happened to one command."""

    name: str
    seconds: float  # of the run that nothing disturbed
    kills: int = 0  # that found the command running
    late: int = 0  # runs that ended before their kill
    resumed: int = 0
    faults: list[str] = field(default_factory=list)


def tree(folder: Path) -> Tree:
    """Every file below a folder except the inputs, without times and speeds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith("in/") and name != "messages":
            found[name] = VARIES.sub(rb'"\1": 0', path.read_bytes())
    return found


def prepare(folder: Path) -> Path:
    """Write the inputs; return their folder."""
    folder.mkdir(parents=True)
    child.preload(lambda: write_inputs(folder), folder)
    for line in MADE:
        child.preload(child.command(line.split(), folder), folder)
    return folder / "in"


def place(folder: Path, inputs: Path) -> Path:
    """Make a new folder in which a command runs."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    folder.joinpath("in").symlink_to(inputs)
    return folder


def half(before: Tree, whole: Tree) -> list[str]:
    """Incomplete files: neither the final content nor a valid earlier one, under a final name."""
    return [
        name
        for name, content in before.items()
        if not UNFINISHED.search(name) and whole.get(name) != content and not earlier(name, content)
    ]


def earlier(name: str, content: bytes) -> bool:
    """Whether a file that grows or is replaced as the work advances is complete in itself."""
    if name.endswith(".jsonl"):
        return all(_parses(line) for line in content.splitlines()[:-1])
    if name.endswith(".json"):
        return _parses(content)
    if name.endswith((".csv", ".md", ".yaml", ".txt")):
        return content.endswith(b"\n")
    if name.endswith(".html"):  # of several studies: it is replaced after each
        return content.rstrip().endswith(b"</html>")
    if name.endswith((".pt", ".safetensors")):
        return _loads(content)
    if name.endswith(".parquet"):
        return content[:4] == content[-4:] == b"PAR1"
    return False


def _parses(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _loads(content: bytes) -> bool:
    if content[:2] == b"PK":
        return b"PK\x05\x06" in content[-100:]
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
    except ValueError:
        return False
    end = max((each["data_offsets"][1] for key, each in header.items() if key[:2] != "__"),
              default=0)  # fmt: skip
    return len(content) == 8 + size + end


def started(arguments: Sequence[str], folder: Path, at: int, changes: mmap.mmap) -> int:
    """Start a command that is killed at its change number ``at`` of a file; its process.

    Args:
        arguments: the command line.
        folder: where it runs.
        at: number of the change, from 0.
        changes: where the number of changes so far is written.
    """
    command = child.command(arguments, folder)

    def run() -> None:
        count_changes(folder, at, changes)
        command()

    return child.start(run, folder / "messages")


def disturb(name: str, kills: int, inputs: Path, folder: Path, rng: random.Random) -> Outcome:
    """Kill one command ``kills`` times, at random moments; resume it; compare its files."""
    arguments = COMMANDS[name].format(out="out").split()
    here = place(folder / "whole", inputs)
    child.preload(child.command(arguments, here), here)
    here.joinpath("modules").unlink()
    whole = tree(here)
    here, changes = place(folder / "again", inputs), mmap.mmap(-1, NUMBER.size)
    began = time.monotonic()
    code = child.wait(started(arguments, here, NEVER, changes))
    seconds = time.monotonic() - began
    (count,) = NUMBER.unpack(changes[:])
    outcome = Outcome(name, seconds)
    if code or tree(here) != whole:
        outcome.faults.append(f"two whole runs: {code}, {differences(tree(here), whole)}")
        return outcome
    while outcome.kills < kills and outcome.late < 3 * kills + 10:
        here = place(folder / "killed", inputs)
        for _ in range(rng.randint(1, 4)):  # kills before the run that ends
            began = time.monotonic()
            by_time = rng.random() < 0.5
            at = NEVER if by_time else rng.randrange(count)
            moment = rng.uniform(0.0, 1.05 * seconds) if by_time else 3600.0
            process = started(arguments, here, at, changes)
            while time.monotonic() - began < moment and not _ended(process):
                time.sleep(0.001)
            if not _ended(process):
                child.kill(process)
            code = child.wait(process)
            if code != -signal.SIGKILL:
                outcome.late += 1
                break
            outcome.kills += 1
            when = f"{moment:.3f} s" if by_time else f"change {at} of {count}"
            outcome.faults += [f"half at {when}: {each}" for each in half(tree(here), whole)]
        else:
            code = child.wait(started(arguments, here, NEVER, changes))
        again, said = tree(here), messages(here)
        if refused_as_finished(code, said):
            again = {name: each for name, each in again.items() if not UNFINISHED.search(name)}
        elif code:
            outcome.faults.append(f"resumed: exit code {code}: {said}")
        if again != whole:
            outcome.faults.append(f"resumed: {differences(again, whole)}")
        outcome.resumed += 1
        if outcome.faults:  # what it left is kept by --keep
            break
    return outcome


def _ended(started: int) -> bool:
    """Whether a child has ended; it is not reaped."""
    return os.waitid(os.P_PID, started, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def messages(folder: Path) -> str:
    """The last messages of a command, on one line."""
    return " ".join((folder / "messages").read_text(errors="replace").split())[-300:]


def refused_as_finished(code: int, said: str) -> bool:
    """Whether a command refused output that is there: it was killed after its last change.

    At that moment it may leave the folder of parts.
    """
    refusals = ("with --force", "--force or", "must not exist, or be an empty folder")
    return code == 2 and any(each in said for each in refusals)


def differences(found: Tree, whole: Tree) -> str:
    """Which files differ from those of an undisturbed run."""
    lines = [f"missing {name}" for name in whole.keys() - found.keys()]
    lines += [f"left {name}" for name in found.keys() - whole.keys()]
    lines += [
        f"differs {name}" for name in whole.keys() & found.keys() if found[name] != whole[name]
    ]
    return ", ".join(sorted(lines)[:6])


def main(kills: int, seed: str, only: Iterable[str], folder: Path) -> int:
    """Disturb every command; return 1 if there is a fault."""
    names = [*only] or [*COMMANDS]
    rng = random.Random(seed)
    began = time.monotonic()
    inputs = prepare(folder / "prepared")
    print(f"seed {seed}; {kills} kills over {len(names)} commands", flush=True)
    total: Counter[str] = Counter()
    for i, name in enumerate(names):
        share = kills * (i + 1) // len(names) - kills * i // len(names)
        found = disturb(name, share, inputs, folder, rng)
        print(
            f"{name:<24}{found.seconds:7.2f} s {found.kills:5} kills {found.resumed:5} resumed"
            f" {found.late:4} late {len(found.faults):4} faults", flush=True,
        )  # fmt: skip
        for fault in found.faults:
            print(f"    {fault}", flush=True)
        total.update(kills=found.kills, resumed=found.resumed, faults=len(found.faults))
    print(
        f"{total['kills']:,} kills, {total['resumed']:,} runs resumed, {total['faults']} faults;"
        f" {(time.monotonic() - began) / 60:.1f} min"
    )
    return int(total["faults"] > 0)
