"""Items in batches, and batches in this process or in several, each with a device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.invert.base import Advance, InversionBatch, InversionContext, Inverter, Prepares
from modalgap.progress import progress
from modalgap.work import Executor, InProcess, Processes, Setup, Span, processors

BUDGET = 2**28  # bytes that a batch holds on the CPU: more are no faster, and a kill costs them
MOST = 1024  # items in a batch

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What to do, in a form that goes to other processes.

    Attributes:
        method: the inversion.
        options: of the method.
        context: what the rule works with; its encoder stays behind where there are processes.
        spec: of the model, if processes load it.
        places: a device for each process.
    """

    method: Prepares
    options: Mapping[str, Any]
    context: InversionContext
    spec: str | None
    places: tuple[str, ...] = ()

    def inverter(self) -> Inverter:
        """The rule with these options."""
        return self.method.prepare(self.context, self.options)

    def setup(self, worker: int) -> Callable[[list[str], NDArray[np.float32]], Arrays]:
        """What a worker calls; it loads the model onto its device first."""
        device = torch.device(self.places[worker])
        encoder = None
        if self.spec is not None:
            encoder = load_model(self.spec, seed=self.context.seed)
            encoder.to(device)
        context = replace(self.context, encoder=encoder, device=device)
        return partial(_invert, replace(self, context=context).inverter(), _silent)


def batch_of(inverter: Inverter, device: torch.device) -> int:
    """How many items are best inverted together."""
    budget = BUDGET
    if device.type == "cuda":
        budget = torch.cuda.mem_get_info(device)[0] // 2
    return min(inverter.room(budget), MOST)


def shared(size: int, n: int, places: int) -> int:
    """A batch of at most ``size`` that leaves every process something of n items to do."""
    return max(1, min(size, -(-n // places)))


def batches(
    work: Work,
    inverter: Inverter,
    data: Embeddings,
    names: Sequence[str],
    todo: Sequence[Span],
    first: int,
    places: Sequence[str],
) -> Generator[tuple[Span, InversionBatch]]:
    """Invert the items of each span; yield results as soon as they are there.

    Args:
        work: what processes do.
        inverter: what this process does, where there is one place.
        data: n unit rows.
        names: of the items.
        todo: spans of items.
        first: how many items are done already.
        places: names of devices, with a process for each where there are several.

    Raises:
        ModalgapError: a process died.
    """
    alone = len(places) == 1
    each = inverter.steps + 1 if alone else 1  # the bar shows steps, or items of processes
    calls = ((list(names[a:b]), data.unit(a, b).numpy()) for a, b in todo)
    with progress("inverting", data.n * each, first=first * each) as advance:
        executor: Executor = InProcess()
        setup: Setup[Arrays] = lambda _worker: partial(_invert, inverter, advance)  # noqa: E731
        if not alone:
            threads = max(1, processors() // len(places))
            executor = Processes(count=len(places), option="jobs", threads=threads, fresh=True)
            setup = replace(
                work, places=tuple(places), context=replace(work.context, encoder=None)
            ).setup
        with closing(executor.run(setup, calls, ordered=False)) as results:
            for index, arrays in results:
                a, b = todo[index]
                if not alone:
                    advance(b - a)
                found = {name: torch.from_numpy(array) for name, array in arrays.items()}
                yield (a, b), InversionBatch.of(found)


def _invert(
    inverter: Inverter, advance: Advance, names: list[str], rows: NDArray[np.float32]
) -> Arrays:
    batch = inverter(names, torch.from_numpy(rows), advance)
    return {name: each.numpy() for name, each in batch.tensors().items()}


def _silent(_steps: int) -> None:
    """Show nothing."""
