"""Encode in other processes: each worker loads the model once and keeps it.

The same worker decodes and encodes a batch, and only the rows are sent back. Batches begin at the
same positions with every executor, so the rows do not depend on the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from modalgap.encode.base import Encoder
from modalgap.encode.device import worker_device
from modalgap.encode.engine.parts import Encoded
from modalgap.encode.registry import load_model


class Work(Protocol):
    """What to encode."""

    def by(self, encoder: Encoder, device: torch.device) -> Callable[[Any], Encoded]:
        """The function that encodes one batch."""
        ...


@dataclass(frozen=True, eq=False)
class EncodingWorker:
    """The setup of a worker.

    Attributes:
        work: what to encode.
        model: name of the model.
        seed: seed of the weights of a model named ``random``.
        device: "cpu", "cuda" or "mps"; workers of one machine take its GPUs in turn.
    """

    work: Work
    model: str
    seed: int
    device: str

    @property
    def gpus(self) -> float:
        """GPUs of each worker."""
        return 1.0 if self.device == "cuda" else 0.0

    def __call__(self, worker: int) -> Callable[[Any], Encoded]:
        """Load the model; return the function that encodes one batch."""
        device = worker_device(self.device, worker)
        encoder = load_model(self.model, seed=self.seed)
        encoder.to(device)
        return self.work.by(encoder, device)
