"""Run an inverter over batches of items, in this process or in several, one device per process."""

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
from modalgap.encode.device import worker_device
from modalgap.invert.base import Advance, InversionBatch, InversionContext, Inverter, Prepares
from modalgap.progress import progress
from modalgap.work import Processes, Setup, Span, executor, processors

BUDGET = 2**28  # bytes per batch on the CPU: larger is no faster, and a killed run loses a batch
MOST = 1024  # items per batch

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of a process, in a form that can be sent to other processes.

    Attributes:
        method: the inversion method.
        options: options of the method.
        context: the context; its encoder is not sent to other processes.
        spec: name of the model, if the processes load it.
        places: one device per process; empty: each worker of the executor takes its own.
    """

    method: Prepares
    options: Mapping[str, Any]
    context: InversionContext
    spec: str | None
    places: tuple[str, ...] = ()

    def inverter(self) -> Inverter:
        """Build the inverter for these options."""
        return self.method.prepare(self.context, self.options)

    def on_cpu(self) -> Work:
        """The same work on the CPU: this process may lack the GPUs of the workers."""
        return replace(self, context=replace(self.context, device=torch.device("cpu")))

    @property
    def gpus(self) -> float:
        """GPUs of each worker."""
        return 1.0 if self.context.device.type == "cuda" else 0.0

    def __call__(self, worker: int) -> Callable[[list[str], NDArray[np.float32]], Arrays]:
        """Load the model onto the device of a worker; return the function that it calls."""
        if self.places:
            device = torch.device(self.places[worker])
        else:
            device = worker_device(self.context.device.type, worker)
        encoder = None
        if self.spec is not None:
            encoder = load_model(self.spec, seed=self.context.seed)
            encoder.to(device)
        context = replace(self.context, encoder=encoder, device=device)
        return partial(_invert, replace(self, context=context).inverter(), _silent)


def batch_of(inverter: Inverter, device: torch.device) -> int:
    """The best number of items per batch."""
    budget = BUDGET
    if device.type == "cuda" and torch.cuda.is_available():
        budget = torch.cuda.mem_get_info(device)[0] // 2
    return min(inverter.room(budget), MOST)


def shared(size: int, n: int, places: int) -> int:
    """The batch size, at most ``size``, that leaves work of n items for every process."""
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
    """Invert the items of each span; yield each result when it is ready.

    Args:
        work: the work of other processes.
        inverter: the inverter of this process, used if there is one place.
        data: n unit rows.
        names: names of the items.
        todo: spans of items.
        first: number of items that are already inverted.
        places: names of devices; if there are several, each has its own process of this machine.
            With one, the current executor runs the work.

    Raises:
        ModalgapError: a process died.
    """
    where = executor()
    alone = len(places) == 1 and where.local
    each = inverter.steps + 1 if alone else 1  # the bar counts steps, or items if processes work
    calls = ((list(names[a:b]), data.unit(a, b).numpy()) for a, b in todo)
    with progress("inverting", data.n * each, first=first * each) as advance:
        setup: Setup[Arrays] = lambda _worker: partial(_invert, inverter, advance)  # noqa: E731
        if not alone:
            own = tuple(places) if len(places) > 1 else ()
            setup = replace(work, places=own, context=replace(work.context, encoder=None))
        if len(places) > 1:
            threads = max(1, processors() // len(places))
            where = Processes(count=len(places), option="jobs", threads=threads, fresh=True)
        with closing(where.run(setup, calls, ordered=False)) as results:
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
    """Report no progress."""
