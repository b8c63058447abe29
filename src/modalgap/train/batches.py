"""Batches: which pairs step s is made of, and what they look like.

Everything random is drawn from (seed, step) or (seed, epoch, item) and never from a state that
goes along, so that step s is the same after a kill, and whatever the number of processes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
ORDER, DRAW, ITEM, HELD_OUT = range(4)  # streams of random numbers under one seed


@dataclass(frozen=True, eq=False)
class Batch:
    """The pairs of one process in one step.

    Attributes:
        images: (b, 3, h, w), prepared.
        ids: (b, l) tokens.
        views: two of the same shape as ``images``, where a loss needs them.
    """

    images: Tensor
    ids: Tensor
    views: tuple[Tensor, Tensor] | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        views = self.views and (
            self.views[0].to(device, non_blocking=True),
            self.views[1].to(device, non_blocking=True),
        )
        return Batch(
            self.images.to(device, non_blocking=True), self.ids.to(device, non_blocking=True), views
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """Pairs that are never trained on.

    Attributes:
        images: (n, 3, h, w), prepared.
        texts: n captions.
        factors: what is known of each pair; ``object`` names the object.
        prompts: factor to the captions of each of its values: accuracy is measured with their mean.
        described: (n, n) whether text j, as the source has it, describes image i; None where text i
            describes image i alone.
    """

    images: Tensor
    texts: Sequence[str]
    factors: Mapping[str, Sequence[str]]
    prompts: Mapping[str, Mapping[str, Sequence[str]]]
    described: NDArray[np.bool_] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n, n) whether text j is a right answer for image i; identical texts are one answer."""
        _, codes = np.unique(np.array(list(self.texts), dtype=object), return_inverse=True)
        same: NDArray[np.bool_] = codes.reshape(-1)[:, None] == codes.reshape(-1)
        if self.described is None:
            return same
        found: NDArray[np.bool_] = (self.described.astype(np.float32) @ same) > 0
        return found


class Batches(Protocol):
    """What the loop trains on."""

    @property
    def pairs(self) -> int:
        """How many pairs an epoch has."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of what the pairs are."""
        ...

    def steps(self, first: int, last: int) -> Generator[Batch]:
        """This process's part of the batches of steps ``first`` … ``last`` - 1."""
        ...

    def first_pairs(self, count: int) -> Batch:
        """``count`` pairs for what is fitted before the first step."""
        ...

    def held_out(self, rows: int) -> HeldOut | None:
        """At most ``rows`` pairs that are never trained on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Share:
    """This process's part of each batch, and the seed.

    Attributes:
        batch: pairs a step, over all processes.
        rank, world: this process, and how many there are.
        seed: of everything random.
        views: whether two views of each image are needed.
    """

    batch: int
    rank: int = 0
    world: int = 1
    seed: int = 0
    views: bool = False

    @property
    def mine(self) -> slice:
        """The rows of a batch that are this process's."""
        size = self.batch // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    def rng(self, *stream: int) -> np.random.Generator:
        """Random numbers that belong to ``stream``."""
        return np.random.default_rng((self.seed, *stream))

    def place(self, step: int, pairs: int) -> tuple[int, int]:
        """The epoch of a step, and which batch of the epoch it is."""
        return divmod(step, pairs // self.batch)

    def rows(self, step: int, pairs: int) -> tuple[int, Ints]:
        """The epoch of a step, and the rows (batch,) of its batch; what is left over is dropped."""
        epoch, position = self.place(step, pairs)
        order = self.rng(ORDER, epoch).permutation(pairs)
        return epoch, order[position * self.batch : (position + 1) * self.batch]


def ahead(batches: Generator[Batch]) -> Generator[Batch]:
    """The same batches; a thread makes the next one while the caller works on the last."""
    with closing(batches), ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def split(pairs: int, held_out: float, seed: int) -> tuple[Ints, Ints]:
    """Rows to train on and rows held out, each ascending; ``held_out`` is a share or a number."""
    count = round(pairs * held_out) if held_out < 1 else int(held_out)
    order = np.random.default_rng((seed, HELD_OUT)).permutation(pairs)
    return np.sort(order[count:]), np.sort(order[:count])


def hash_of(*parts: bytes | str) -> str:
    """One hash of several things."""
    digest = xxhash.xxh3_128()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
