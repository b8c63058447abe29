"""Run every case, print one table; say which target is met.

python -m bench            all cases
python -m bench neighbours some of them
"""

from __future__ import annotations

import os
import platform
import sys

from modalgap.waiting import wait_passively

wait_passively()  # as the command line does, before torch is imported

import torch  # noqa: E402

from bench.cases import CASES  # noqa: E402


def main(names: list[str]) -> int:
    """Run the named cases, or all; 1 if a target was missed."""
    if {"-h", "--help"} & set(names):
        print(f"usage: python -m bench [CASE]...; cases: {', '.join(CASES)}")
        return 0
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        print(f"unknown case {unknown[0]!r}; known: {', '.join(CASES)}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}\n")
    print(f"{'':4}{'case':<72}{'measured':>12}{'target':>12}")
    missed = 0
    for name in names or CASES:
        for row in CASES[name]():
            print(
                f"{'ok' if row.met else 'NO':4}{row.what:<72}{row.measured:>12}{row.target:>12}",
                flush=True,
            )
            missed += not row.met
    print(f"\n{missed} of the targets missed" if missed else "\nevery target met")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
