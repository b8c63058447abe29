"""Waiting for other processes: by looking again and again, with one limit for what never comes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

# Seconds. A machine that is many times slower than usual stays far below it; only what never ends
# reaches it.
LIMIT = 1800.0


def until(condition: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    """Return once ``condition`` holds or one of ``processes`` has ended."""
    end = time.monotonic() + LIMIT
    while not condition() and all(process.poll() is None for process in processes):
        if time.monotonic() > end:
            pytest.fail(f"not within {LIMIT:.0f} s")
        time.sleep(0.01)
