"""What takes long: tests of minutes, and waiting for other processes with one limit for all."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest

# Seconds. A machine that is many times slower than usual stays far below it; only what never ends
# reaches it.
LIMIT = 1800.0
FULL = bool(os.environ.get("MODALGAP_FULL"))
in_full = pytest.mark.skipif(not FULL, reason="takes minutes; MODALGAP_FULL=1 runs it")


def until(condition: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    """Return once ``condition`` holds or one of ``processes`` has ended."""
    end = time.monotonic() + LIMIT
    while not condition() and all(process.poll() is None for process in processes):
        if time.monotonic() > end:
            pytest.fail(f"not within {LIMIT:.0f} s")
        time.sleep(0.01)
