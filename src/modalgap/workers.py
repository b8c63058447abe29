"""How a worker process begins: it neither outlives its run nor answers for it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # of sys/prctl.h
NICE = 10  # on the CPU the model comes first: workers fill the time that it leaves


def begin(*, polite: bool = False) -> None:
    """Leave Ctrl-C to the run itself, end with it, and, if ``polite``, step back behind it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run itself says that it was interrupted
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":  # a worker whose run was killed would wait for it for ever
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if polite:
        with suppress(OSError, AttributeError):
            os.nice(NICE)
