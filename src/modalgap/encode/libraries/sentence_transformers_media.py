"""Images and sounds as bytes: workers decode them, and the library prepares them itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from modalgap.encode.libraries.transformers_media import resampled

HEAD = 3  # int64: kind (0 image, 1 sound); width and height, or number of samples and rate


@dataclass(frozen=True)
class Stored:
    """Map an RGB image, or (samples, rate), to its bytes (k,) uint8.

    Attributes:
        rate: samples per second that the model takes; None if it takes no sounds.
        longest: number of samples that the model takes, from the beginning; None for all.
    """

    rate: int | None = None
    longest: int | None = None

    def __call__(self, item: Any) -> Tensor:
        if isinstance(item, Image.Image):
            head, values = (0, *item.size), np.asarray(item.convert("RGB"))
        else:
            samples, rate = item
            if self.rate is not None:
                samples, rate = resampled(samples, rate, self.rate), self.rate
            values = np.ascontiguousarray(samples[: self.longest], np.float32)
            head = (1, len(values), rate)
        stored = np.frombuffer(np.array(head, np.int64).tobytes() + values.tobytes(), np.uint8)
        return torch.from_numpy(stored.copy())

    def join(self, items: Sequence[Tensor]) -> Tensor:
        """A batch: the bytes of all items, one after the other."""
        return torch.cat(list(items))


def items_of(batch: Tensor) -> list[Any]:
    """The items of a batch that ``Stored`` made, as the library takes them."""
    values = batch.cpu().numpy()
    items: list[Any] = []
    at = 0
    while at < len(values):
        kind, first, second = np.frombuffer(values[at : at + 8 * HEAD].tobytes(), np.int64).tolist()
        at += 8 * HEAD
        size = 4 * first if kind else 3 * first * second
        found = values[at : at + size]
        at += size
        if kind:
            samples: NDArray[np.float32] = np.frombuffer(found.tobytes(), np.float32)
            items.append({"array": samples, "sampling_rate": second})
        else:
            items.append(Image.fromarray(found.reshape(second, first, 3)))
    return items
