"""Let idle CPU threads sleep, so that other processes can use the processor.

torch computes on OpenMP threads. By default these spin while they wait for one another. On a
machine that also runs other processes, a spinning thread takes processor time from the thread that
it waits for, and small operations become many times slower. With ``OMP_WAIT_POLICY=passive`` they
sleep. GNU, LLVM and Intel OpenMP read this variable once, when torch is imported.

The command line sets it. In Python, call ``wait_passively`` before torch is imported.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

POLICY = "OMP_WAIT_POLICY"
# If the user sets one of these, it is not changed.
SETTINGS = (POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> bool:
    """Let idle CPU threads sleep instead of spin. Call it before torch is imported.

    It sets ``OMP_WAIT_POLICY=passive`` for this process and the processes that it starts. It
    changes nothing if ``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT`` or ``KMP_BLOCKTIME`` is set already.

        >>> from modalgap.waiting import wait_passively
        >>> wait_passively()
        True
        >>> import torch

    Returns:
        Whether the policy of this process is passive. If torch was imported before and no policy
        was set, it is too late: nothing changes, a ``RuntimeWarning`` says so, and the answer is
        False.
    """
    if any(name in os.environ for name in SETTINGS):
        return os.environ.get(POLICY, "").strip().lower() == "passive"
    if "torch" in sys.modules:
        warnings.warn(
            "torch is already imported, so its threads will spin while they wait;"
            " call wait_passively() before torch is imported",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    os.environ[POLICY] = "passive"
    return True


@contextmanager
def passive_children() -> Iterator[None]:
    """Threads of processes started inside the block wait passively, unless the user set a policy.

    For processes that import torch themselves (``spawn``). This process stays as it is.
    """
    if any(name in os.environ for name in SETTINGS):
        yield
        return
    os.environ[POLICY] = "passive"
    try:
        yield
    finally:
        os.environ.pop(POLICY, None)
