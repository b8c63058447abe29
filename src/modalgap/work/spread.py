"""Spread work over spans of rows, with any executor.

A span is a range of consecutive rows. A job computes the result of one span, and the caller joins
the results in the order of the spans. The spans depend on the number of rows only, and each result
on its span only, so that every executor gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from modalgap.progress import progress
from modalgap.work.executors import Executor, InProcess
from modalgap.work.on import executor
from modalgap.work.parts import Span

T = TypeVar("T")
Advance = Callable[[int], None]
Job = Callable[..., T]  # job(span, *more, advance=advance) returns the result of the span


def spans_of(n: int, size: int) -> list[Span]:
    """The spans of n rows. Each has ``size`` rows; the last may be shorter."""
    return [(a, min(a + size, n)) for a in range(0, n, size)]


def spread(
    job: Job[T],
    spans: Sequence[Span],
    what: str,
    *,
    steps: int = 1,
    more: Iterable[tuple[Any, ...]] | None = None,
) -> Generator[T]:
    """Yield the result of each span, in order, computed by the current executor.

    Args:
        job: function of a span (a, b), of the values of ``more`` for it, and of ``advance``, which
            it may call with the number of steps that it has completed. It must be picklable.
        spans: ranges of rows [a, b). A single one is computed in this process.
        what: label of the progress bar.
        steps: number of steps of the progress bar per row.
        more: further arguments for each span.
    """
    where: Executor = executor() if len(spans) > 1 else InProcess()
    total = sum(b - a for a, b in spans) * steps
    extra = [()] * len(spans) if more is None else more
    calls = ((span, *each) for span, each in zip(spans, extra, strict=True))
    with progress(what, total, unit="rows") as advance:
        setup = (lambda _worker: partial(job, advance=advance)) if where.local else _Remote(job)
        with closing(where.run(setup, calls)) as results:
            for index, result in results:
                yield result
                if not where.local:
                    a, b = spans[index]
                    advance((b - a) * steps)


@dataclass(frozen=True)
class _Remote:
    """The setup of a worker that reports no progress within a span."""

    job: Job[Any]

    def __call__(self, _worker: int) -> Callable[..., Any]:
        return partial(self.job, advance=_silent)

    def items_of(self, span: Span, *_more: Any) -> int:
        """Number of items of a call, for the notes at the end."""
        return span[1] - span[0]


def _silent(_steps: int) -> None:
    """Report no progress."""
