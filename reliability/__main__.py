"""``python -m reliability NAME``: see ``--help``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from modalgap.waiting import wait_passively

wait_passively()  # as the command line does, before torch is imported


def main() -> int:
    """Run one of the tests; 1 if it finds a fault."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    kill = tests.add_parser("kill", help="kill -9 at random moments of commands, then resume")
    kill.add_argument("--kills", type=int, default=1000)
    kill.add_argument("--only", action="append", default=[], help="a command of commands.py")
    kill.add_argument("--seed", type=int, default=0)
    kill.add_argument("--keep", action="store_true", help="leave the folder of the runs")
    given = parser.parse_args()
    from reliability.kill import main as run

    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    try:
        return run(given.kills, given.seed, given.only, folder)
    finally:
        if not given.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
