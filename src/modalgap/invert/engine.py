"""Work on items spread over batches, and batches over processes or devices."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.invert.base import InversionBatch, InversionContext, Inverter, Prepares
from modalgap.invert.parts import Span
from modalgap.progress import progress
from modalgap.work import Pool, processors

BUDGET = 2**28  # bytes that a batch holds on the CPU: more are no faster, and a kill costs them
MOST = 1024  # items in a batch


@dataclass(frozen=True, kw_only=True)
class Work:
    """What to do, in a form that goes to other processes.

    Attributes:
        method: the inversion.
        options: of the method.
        context: what the rule works with; its encoder stays behind where there are processes.
        spec: of the model, if processes load it.
    """

    method: Prepares
    options: Mapping[str, Any]
    context: InversionContext
    spec: str | None

    def inverter(self) -> Inverter:
        """The rule with these options."""
        return self.method.prepare(self.context, self.options)


def batch_of(inverter: Inverter, device: torch.device) -> int:
    """How many items are best inverted together."""
    budget = BUDGET
    if device.type == "cuda":
        budget = torch.cuda.mem_get_info(device)[0] // 2
    return min(inverter.room(budget), MOST)


def shared(size: int, n: int, places: int) -> int:
    """A batch of at most ``size`` that leaves every process something of n items to do."""
    return max(1, min(size, -(-n // places)))


def alone(
    inverter: Inverter, data: Embeddings, names: Sequence[str], todo: Sequence[Span], first: int
) -> Generator[tuple[Span, InversionBatch]]:
    """Batch after batch, in this process."""
    each = inverter.steps + 1
    with progress("inverting", data.n * each, first=first * each) as advance:
        for a, b in todo:
            yield (a, b), inverter(names[a:b], data.unit(a, b), advance)


def together(
    work: Work,
    data: Embeddings,
    names: Sequence[str],
    todo: Sequence[Span],
    first: int,
    places: Sequence[str],
) -> Generator[tuple[Span, InversionBatch]]:
    """Batches in processes, one for each of ``places``: names of devices.

    Raises:
        ModalgapError: a process died.
    """
    threads = max(1, processors() // len(places))
    bare = replace(work, context=replace(work.context, encoder=None))
    died = (
        "a process died: perhaps for want of memory, so take fewer jobs or a smaller batch;"
        " or because the script that asks for processes lacks if __name__ == '__main__'"
    )
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    for place in places:
        queue.put(place)
    with (
        progress("inverting", data.n, first=first) as advance,
        Pool(len(places), _begin, (bare, queue, threads), died, fresh=True) as pool,
    ):
        left = iter(todo)
        running: dict[Future[dict[str, Any]], Span] = {}

        def submit() -> None:
            if (span := next(left, None)) is not None:
                a, b = span
                future = pool.submit(_invert, list(names[a:b]), data.unit(a, b).numpy())
                running[future] = span

        for _ in range(2 * len(places)):  # one at work and one that waits
            submit()
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                span = running.pop(future)
                found = {key: torch.from_numpy(each) for key, each in future.result().items()}
                submit()
                advance(span[1] - span[0])
                yield span, InversionBatch.of(found)


_inverter: Inverter | None = None  # of this process


def _begin(work: Work, queue: Any, threads: int) -> None:
    global _inverter
    torch.set_num_threads(threads)
    device = torch.device(queue.get())
    encoder = None
    if work.spec is not None:
        encoder = load_model(work.spec, seed=work.context.seed)
        encoder.to(device)
    context = replace(work.context, encoder=encoder, device=device)
    _inverter = replace(work, context=context).inverter()


def _invert(names: list[str], rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    assert _inverter is not None  # noqa: S101 - as begun
    done = _inverter(names, torch.from_numpy(rows), _silent)
    return {name: each.numpy() for name, each in done.tensors().items()}


_silent: Callable[[int], None] = lambda _steps: None  # noqa: E731
