"""Progress on stderr: lines, and a bar for work longer than a second if it is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 1.0  # seconds before a bar appears


def note(message: str) -> None:
    """Write a message to stderr, in one line even if a name has control characters."""
    printable = "".join(c if c.isprintable() else "�" for c in message)
    if sys.stderr is None:  # would print on stdout
        return
    with suppress(OSError):  # a log on a full disk does not end the work
        print(f"modalgap: {printable}", file=sys.stderr, flush=True)


def _ignore(_steps: int) -> None:
    """Advance nothing."""


@contextmanager
def progress(
    what: str, total: int, unit: str = "", *, first: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(steps)``; show a progress bar if the work takes over a second.

    With a ``unit`` the bar shows the number of units per second; ``first`` steps were completed
    before. Nothing is shown if stderr is not a terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        *([Speed()] if unit else []),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=total, completed=first)
    started = time.monotonic()
    drawn = False

    def advance(steps: int) -> None:
        nonlocal drawn
        bar.advance(task, steps)
        if not drawn and time.monotonic() - started > PATIENCE:
            drawn = True
            bar.start()

    try:
        yield advance
    finally:
        if drawn:
            bar.stop()
