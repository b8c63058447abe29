"""Progress on stderr: a bar if it is a terminal, and a line per minute if it is a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 1.0  # seconds before a bar appears
EVERY = 60.0  # seconds between lines


def note(message: str) -> None:
    """Write a message to stderr, in one line even if a name has control characters."""
    printable = "".join(c if c.isprintable() else "�" for c in message)
    if sys.stderr is None:  # would print on stdout
        return
    with suppress(OSError):  # a log on a full disk does not end the work
        print(f"modalgap: {printable}", file=sys.stderr, flush=True)


def _ignore(_steps: int) -> None:
    """Advance nothing."""


def _lines(what: str, total: int, first: int) -> Callable[[int], None]:
    """An ``advance`` that writes lines, as for the log of a batch job."""
    started = said = time.monotonic()
    done = first

    def advance(steps: int) -> None:
        nonlocal done, said
        done += steps
        now = time.monotonic()
        if now - said >= EVERY and first < done < total:
            said = now
            left = (now - started) * (total - done) / (done - first)
            note(f"{what}: {done:,} of {total:,}, about {left / 60:,.0f} min left")

    return advance


@contextmanager
def progress(
    what: str, total: int, unit: str = "", *, first: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(steps)``; show a progress bar if the work takes over a second.

    With a ``unit`` the bar shows the number of units per second; ``first`` steps were completed
    before. If stderr is not a terminal, it gets a line per minute.
    """
    if sys.stderr is None:
        yield _ignore
        return
    if not sys.stderr.isatty():
        yield _lines(what, total, first)
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
