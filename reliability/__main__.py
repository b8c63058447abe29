"""Long tests outside the test suite; docs/reliability.md describes them."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from modalgap.waiting import wait_passively

wait_passively()  # as the command line does, before torch is imported
MEMORY = Path("/dev/shm")


def count(text: str, least: int = 1) -> int:
    """A number of inputs, kills, runs, cases, samples or processes."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}; got {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The options of the tests."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    kill = tests.add_parser("kill", help="kill -9 at random moments of commands, then resume")
    kill.add_argument("--kills", type=count, default=1000, help="over all commands")
    disks = tests.add_parser("disks", help="full and read-only disks at random changes of files")
    disks.add_argument("--runs", type=count, default=500, help="over all commands")
    for each in (kill, disks):
        each.add_argument(
            "--only", action="append", default=[], metavar="COMMAND",
            help="one of reliability/commands.py, such as 'close fit'; may be repeated",
        )  # fmt: skip
    fuzz = tests.add_parser("fuzz", help="damaged inputs for every reader")
    fuzz.add_argument("--inputs", type=count, default=1_000_000, help="over all targets")
    fuzz.add_argument(
        "--only", action="append", default=[], metavar="TARGET",
        help="one of docs/reliability.md, such as embeddings; may be repeated",
    )  # fmt: skip
    fuzz.add_argument(
        "--faults", type=Path, default=Path("faults"),
        help="folder for one input of each kind of fault (default: faults)",
    )  # fmt: skip
    fuzz.add_argument("--guided", action="store_true", help="by coverage, with Atheris")
    intervals = tests.add_parser("intervals", help="coverage of 95%% intervals by simulation")
    intervals.add_argument("--repeats", type=count, default=2000, help="samples per population")
    numbers = tests.add_parser("numbers", help="changes of the data that must not change a number")
    numbers.add_argument("--cases", type=count, default=300, help="random data sets")
    numbers.add_argument("--seed", type=partial(count, least=0), default=0)
    soak = tests.add_parser("soak", help="mixed commands; memory and open files are watched")
    soak.add_argument("--minutes", type=float, default=60)
    for each in (intervals, soak):
        each.add_argument("--processes", type=count, default=2)
    for each in (kill, disks, fuzz, soak):
        today = str(datetime.date.today())
        each.add_argument("--seed", default=today, help="any text (default: the date)")
        each.add_argument("--keep", action="store_true", help="do not remove the temporary folder")
    return parser


def known(test: str) -> list[str]:
    """What ``--only`` can name; imported late, because OMP_NUM_THREADS is set before."""
    if test == "fuzz":
        from reliability.targets import TARGETS

        return [*TARGETS]
    from reliability.commands import COMMANDS

    return [*COMMANDS]


def main() -> int:
    """Run one of the tests; return 1 if it finds a fault."""
    options = parser()
    given = options.parse_args()
    # in memory: ext4 writes each file to the disk that is replaced by truncating it
    memory = MEMORY if given.test == "fuzz" and MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="reliability-", dir=memory))
    if given.test in ("fuzz", "intervals", "numbers"):
        os.environ["OMP_NUM_THREADS"] = "1"  # forked processes must not need the parent's threads
    try:
        if unknown := [
            name for name in getattr(given, "only", []) if name not in known(given.test)
        ]:
            options.error(
                f"--only: must be one of {', '.join(known(given.test))}; got {unknown[0]}"
            )
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
