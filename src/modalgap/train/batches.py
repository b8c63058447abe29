"""Batches: the pairs of each step.

All random numbers depend on (seed, step) or (seed, epoch, item), never on a state that changes
from step to step. So a resumed run has the same steps, with any number of processes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
ORDER, DRAW, ITEM, HELD_OUT = range(4)  # random number streams of one seed


@dataclass(frozen=True, eq=False)
class Batch:
    """The pairs of one process in one step.

    Attributes:
        images: (b, 3, h, w), prepared.
        ids: (b, l) tokens.
        views: two tensors of the shape of ``images``, if a loss needs them.
        others: (b, ...) inputs of further towers, in their order.
    """

    images: Tensor
    ids: Tensor
    views: tuple[Tensor, Tensor] | None = None
    others: tuple[Tensor, ...] = ()

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        views = self.views and (
            self.views[0].to(device, non_blocking=True),
            self.views[1].to(device, non_blocking=True),
        )
        images, ids, *others = (
            each.to(device, non_blocking=True) for each in (self.images, self.ids, *self.others)
        )
        return Batch(images, ids, views, tuple(others))


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """Pairs that are never trained on.

    Attributes:
        images: (n, 3, h, w), prepared.
        texts: n captions.
        factors: the factors of each pair; ``object`` names the object.
        prompts: maps a factor to the captions of each of its values, for accuracy.
        described: (n, n) whether text j of the source describes image i; None if text i describes
            image i only.
        others: name to the inputs of further towers (n, ...), in their order.
    """

    images: Tensor
    texts: Sequence[str]
    factors: Mapping[str, Sequence[str]]
    prompts: Mapping[str, Mapping[str, Sequence[str]]]
    described: NDArray[np.bool_] | None = None
    others: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n, n) whether text j is correct for image i; identical texts count as one."""
        _, codes = np.unique(np.array(list(self.texts), dtype=object), return_inverse=True)
        same: NDArray[np.bool_] = codes.reshape(-1)[:, None] == codes.reshape(-1)
        if self.described is None:
            return same
        result: NDArray[np.bool_] = (self.described.astype(np.float32) @ same) > 0
        return result


class Batches(Protocol):
    """The training data of the loop."""

    @property
    def pairs(self) -> int:
        """Number of pairs per epoch."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of the pairs."""
        ...

    def steps(self, first: int, last: int) -> Generator[Batch]:
        """This process's part of the batches of steps ``first`` … ``last`` - 1."""
        ...

    def first_pairs(self, count: int) -> Batch:
        """``count`` pairs, to fit on before the first step."""
        ...

    def held_out(self, rows: int) -> HeldOut | None:
        """At most ``rows`` pairs that are never trained on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Selects the rows of each batch, and those of this process.

    Attributes:
        batch: pairs per step, over all processes.
        rank, world: number of this process, and number of processes.
        seed: seed of all random numbers.
        views: whether a loss needs two views of each image.
    """

    batch: int
    rank: int = 0
    world: int = 1
    seed: int = 0
    views: bool = False

    @property
    def mine(self) -> slice:
        """The rows of a batch that belong to this process."""
        size = self.batch // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    def rng(self, *stream: int) -> np.random.Generator:
        """The random number generator of ``stream``."""
        return np.random.default_rng((self.seed, *stream))

    def place(self, step: int, pairs: int) -> tuple[int, int]:
        """The epoch of a step, and the number of its batch in the epoch."""
        return divmod(step, pairs // self.batch)

    def rows(self, step: int, pairs: int) -> tuple[int, Ints]:
        """The epoch of a step, and the rows (batch,) of its batch; the remainder is dropped."""
        epoch, position = self.place(step, pairs)
        order = self.rng(ORDER, epoch).permutation(pairs)
        return epoch, order[position * self.batch : (position + 1) * self.batch]


def ahead(batches: Generator[Batch]) -> Generator[Batch]:
    """The same batches; a thread prepares the next one while the caller uses the last."""
    with closing(batches), ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def split(
    pairs: int, held_out: float, seed: int, groups: Sequence[str] | None = None
) -> tuple[Ints, Ints]:
    """Training rows and held-out rows, both ascending.

    Args:
        pairs: number of rows.
        held_out: a fraction or a number of rows.
        seed: seed of the choice.
        groups: the group of each row. Whole groups are held out, until they have as many rows.
    """
    count = round(pairs * held_out) if held_out < 1 else int(held_out)
    rng = np.random.default_rng((seed, HELD_OUT))
    if groups is None:
        order = rng.permutation(pairs)
        return np.sort(order[count:]), np.sort(order[:count])
    names, of_row, sizes = np.unique(
        np.asarray(groups, object).astype(str), return_inverse=True, return_counts=True
    )
    order = rng.permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]  # rows of the groups that are held out earlier
    kept = np.isin(of_row.reshape(-1), order[before < count])
    return np.flatnonzero(~kept), np.flatnonzero(kept)


def hash_of(*parts: bytes | str) -> str:
    """One hash of several values."""
    digest = xxhash.xxh3_128()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
