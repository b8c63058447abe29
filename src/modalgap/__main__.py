"""``python -m modalgap``."""

import os
import signal
import sys
import traceback

from modalgap.ending import end_with_launcher, guard

BUG = 70  # EX_SOFTWARE of sysexits.h; Python's own code, 1, would look like the answer no


def main() -> None:
    """Run the command line. The process ends soon after a signal or after its launcher.

    The exit codes are listed in docs/json.md.
    """
    try:
        _occupy()
        guard()
        end_with_launcher()
        from modalgap.cli import main

        main()
    except KeyboardInterrupt:  # before the command line reads it
        sys.exit(128 + signal.SIGINT)
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)


def _occupy() -> None:
    """Open the numbers of standard streams that the caller closed.

    Otherwise a file would get such a number, and a library that prints would write into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


if __name__ == "__main__":
    main()
