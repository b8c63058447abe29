"""Commands for an hour in the same process: memory, open files and threads must not grow."""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from reliability import child
from reliability.commands import COMMANDS
from reliability.kill import place, prepare

# these start other processes, or keep what they loaded by design
LEFT_OUT = {"encode on processes"}
GROWTH = 1.10  # the most that memory may grow from the second quarter to the last


def state() -> dict[str, float]:
    """Resident MB, open files and threads of this process (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "megabytes": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
    }


def work(inputs: Path, folder: Path, seconds: float, seed: str, log: Path) -> None:
    """Run commands in this process until the time is over; one JSON line after each round."""
    from modalgap.cli import main

    rng = random.Random(seed)
    names = [name for name in COMMANDS if name not in LEFT_OUT]
    end = time.monotonic() + seconds
    with log.open("w") as file:
        while time.monotonic() < end:
            rng.shuffle(names)
            for name in names:
                os.chdir(place(folder, inputs))
                sys.argv = ["modalgap", *COMMANDS[name].format(out="out").split()]
                code: object = 0
                try:
                    main()
                except SystemExit as leaving:
                    code = leaving.code
                if code:
                    raise RuntimeError(f"{name}: exit code {code}")
            file.write(json.dumps({"commands": len(names), **state()}) + "\n")
            file.flush()


def quarter(rounds: Sequence[dict[str, float]], number: int, key: str) -> float:
    """The mean of a quarter of the rounds."""
    part = rounds[len(rounds) * number // 4 : len(rounds) * (number + 1) // 4]
    return sum(each[key] for each in part) / len(part)


def main(minutes: float, processes: int, seed: str, folder: Path) -> int:
    """Run the commands in processes; return 1 if memory, open files or threads grow."""
    inputs = prepare(folder / "prepared")
    logs = [folder / f"{i}.jsonl" for i in range(processes)]
    child.run_all(
        [
            partial(work, inputs, folder / f"run{i}", 60 * minutes, f"{seed} {i}", log)
            for i, log in enumerate(logs)
        ],
        folder / "messages",
    )
    grown = 0
    for log in logs:
        rounds = [json.loads(line) for line in log.open()]
        count = sum(each["commands"] for each in rounds)
        print(f"{count} commands in {len(rounds)} rounds; seed {seed}")
        if len(rounds) < 4:
            print("too few rounds to compare quarters")
            return 1
        for key in ("megabytes", "files", "threads"):
            second, last = quarter(rounds, 1, key), quarter(rounds, 3, key)
            print(f"  {key:<10} second quarter {second:9.1f}   last quarter {last:9.1f}")
            grown += last > (GROWTH * second if key == "megabytes" else second)
    return int(grown > 0)
