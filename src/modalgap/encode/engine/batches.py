"""Workers decode and preprocess a batch while the model encodes the one before."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from PIL import Image
from torch import Tensor

from modalgap.data import pixels, sound
from modalgap.data.media import Media
from modalgap.errors import FileError
from modalgap.work import Executor, InProcess, Processes


@dataclass(frozen=True, eq=False)
class Batch:
    """The decoded items of one batch of positions.

    Attributes:
        start, stop: the positions.
        kept: (k,) positions that could be read.
        items: (k, …) input of the tower, or None if k is 0.
        digests: (k, 16) hashes of the stored bytes.
        failed: (position, reason) of the other positions.
    """

    start: int
    stop: int
    kept: Tensor
    items: Tensor | None
    digests: Tensor
    failed: list[tuple[int, str]]


class Batches:
    """Decode and prepare batch number b of a medium."""

    def __init__(self, media: Media, prepare: Callable[[Any], Tensor], size: int) -> None:
        self.media, self.prepare, self.size = media, prepare, size

    def setup(self, _worker: int) -> Callable[[int], Batch]:
        """The function that a worker calls."""
        return self.batch

    def batch(self, number: int) -> Batch:
        """Decode and prepare the items of a batch."""
        start = number * self.size
        stop = min(start + self.size, len(self.media))
        kept, digests, failed = [], [], []
        items: list[Tensor] = []
        join = getattr(self.prepare, "join", torch.stack)
        for position in range(start, stop):
            try:
                stored = self.media[position]
                item = self.prepare(_decode(stored, self.media.kind))
                if not isinstance(item, Tensor):
                    raise FileError(f"prepare: must return a tensor; got {type(item).__name__}")
                if join is torch.stack and items and item.shape != items[0].shape:
                    raise FileError(
                        f"prepared to shape {tuple(item.shape)}, and other items to"
                        f" {tuple(items[0].shape)}"
                    )
            except MemoryError:
                failed.append((position, "must fit in memory"))
            except Exception as error:  # any error of a bad item is reported for that item only
                failed.append((position, " ".join(str(error).split()) or type(error).__name__))
            else:
                kept.append(position)
                items.append(item)
                digests.append(_digest(stored))
        return Batch(
            start,
            stop,
            torch.tensor(kept, dtype=torch.int64),
            join(items) if items else None,
            torch.tensor(digests, dtype=torch.uint8).reshape(-1, 16),
            failed,
        )


def batches(
    media: Media,
    prepare: Callable[[Any], Tensor],
    numbers: Sequence[int],
    *,
    size: int,
    workers: int,
    polite: bool,
) -> Generator[Batch]:
    """Yield batches in order.

    Args:
        media: the media to read.
        prepare: maps a decoded item to the input of the tower.
        numbers: which batches.
        size: items per batch; the last of all may be short.
        workers: number of decoding processes; 0 decodes in this process.
        polite: whether workers have lower priority than the model on the same processors.

    Raises:
        ModalgapError: a worker died.
    """
    task = Batches(media, prepare, size)
    workers = min(workers, len(numbers))
    executor: Executor = InProcess()
    if workers:
        executor = Processes(count=workers, threads=1, polite=polite)
    with closing(executor.run(task.setup, ((number,) for number in numbers))) as results:
        for _, batch in results:
            yield batch


def _decode(stored: Any, kind: str) -> Any:
    return pixels.decode(stored) if kind == "image" else sound.decode(stored)


def _digest(stored: Any) -> list[int]:
    if isinstance(stored, Image.Image):
        stored = f"{stored.mode}|{stored.size}|".encode() + stored.tobytes()
    return list(xxhash.xxh3_128_digest(stored))
