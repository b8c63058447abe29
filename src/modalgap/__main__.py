"""``python -m modalgap``."""

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
        guard()
        end_with_launcher()
        from modalgap.cli import main

        main()
    except KeyboardInterrupt:  # before the command line reads it
        sys.exit(128 + signal.SIGINT)
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)


if __name__ == "__main__":
    main()
