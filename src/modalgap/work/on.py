"""Where work runs."""

from __future__ import annotations

from contextvars import ContextVar

from modalgap.work.executors import Executor, InProcess

_current: ContextVar[Executor] = ContextVar("executor", default=InProcess())


def executor() -> Executor:
    """The current executor."""
    return _current.get()
