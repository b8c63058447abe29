"""``python -m reliability TEST``: long tests outside the suite. docs/reliability.md has results."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from pathlib import Path

from modalgap.waiting import wait_passively

wait_passively()  # as the command line does, before torch is imported
MEMORY = Path("/dev/shm")


def main() -> int:
    """Run one of the tests; 1 if it finds a fault."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    kill = tests.add_parser("kill", help="kill -9 at random moments of commands, then resume")
    kill.add_argument("--kills", type=int, default=1000)
    kill.add_argument("--only", action="append", default=[], help="a command of commands.py")
    disks = tests.add_parser("disks", help="full and read-only disks at random changes of files")
    disks.add_argument("--runs", type=int, default=500)
    disks.add_argument("--only", action="append", default=[], help="a command of commands.py")
    fuzz = tests.add_parser("fuzz", help="damaged inputs for every reader")
    fuzz.add_argument("--inputs", type=int, default=1_000_000)
    fuzz.add_argument("--only", action="append", default=[], help="a target of targets.py")
    fuzz.add_argument("--faults", type=Path, default=Path("faults"), help="where they are kept")
    fuzz.add_argument("--guided", action="store_true", help="by coverage, with Atheris")
    intervals = tests.add_parser("intervals", help="coverage of the 95 % intervals by simulation")
    intervals.add_argument("--repeats", type=int, default=2000)
    intervals.add_argument("--processes", type=int, default=2)
    numbers = tests.add_parser("numbers", help="changes of the data that must not change a number")
    numbers.add_argument("--cases", type=int, default=1000)
    numbers.add_argument("--seed", type=int, default=0)
    soak = tests.add_parser("soak", help="mixed commands; memory and open files are watched")
    soak.add_argument("--minutes", type=float, default=60)
    soak.add_argument("--processes", type=int, default=2)
    for each in (kill, disks, fuzz, soak):
        each.add_argument("--seed", default=str(datetime.date.today()))
        each.add_argument("--keep", action="store_true", help="leave the folder of the runs")
    given = parser.parse_args()
    # in memory: ext4 writes each file to the disk that is replaced by truncating it
    memory = MEMORY if given.test == "fuzz" and MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="reliability-", dir=memory))
    if given.test in ("fuzz", "intervals", "numbers"):
        os.environ["OMP_NUM_THREADS"] = "1"  # forked processes must not need the parent's threads
    try:
        if given.test == "intervals":
            from reliability.intervals import main as run_intervals

            return run_intervals(given.repeats, given.processes, folder)
        if given.test == "numbers":
            from reliability.numbers import main as run_numbers

            return run_numbers(given.cases, given.seed, folder)
        if given.test == "soak":
            from reliability.soak import main as run_soak

            return run_soak(given.minutes, given.processes, given.seed, folder)
        if given.test == "disks":
            from reliability.disks import main as run_disks

            return run_disks(given.runs, given.seed, given.only, folder)
        if given.test == "kill":
            from reliability.kill import main as run_kill

            return run_kill(given.kills, given.seed, given.only, folder)
        from reliability.fuzz import main as run_fuzz

        faults = given.faults.absolute()
        return run_fuzz(given.inputs, given.seed, given.only, folder, faults, given.guided)
    finally:
        if not getattr(given, "keep", False):
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
