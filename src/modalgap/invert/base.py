"""The interface of inversion methods: their context, their batches and the inverter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder

Advance = Callable[[int], None]
PARTS = ("features", "cosines", "vectors", "losses", "steps")  # the tensors of ``InversionBatch``


@dataclass(frozen=True, kw_only=True, eq=False)
class InversionContext:
    """The context in which an inversion method runs.

    Attributes:
        encoder: the model, on ``device``; None for methods that use no model.
        device: the device to compute on.
        precision: "fp32", "bf16" or "fp16" for passes through the model.
        compiled: whether the passes are compiled.
        seed: seed of the noise.
        bank: pairs, or embeddings of the target modality, for methods that are fitted on them.
        dim: width of the features.
        modality: the modality of the features to invert.
        into: the target modality.
    """

    encoder: Encoder | None
    device: torch.device
    precision: str = "fp32"
    compiled: bool = False
    seed: int = 0
    bank: Pair | Embeddings | None = None
    dim: int
    modality: str
    into: str


@dataclass(frozen=True, eq=False)
class InversionBatch:
    """The result for one batch of items.

    Attributes:
        features: (b, d) unit rows, in the target modality.
        cosines: (b,) cosine of each feature to the feature that it was made from.
        vectors: (b, k, width) pseudo-tokens or pseudo-patches.
        losses: (b, s + 1) loss at the start and after each step.
        steps: (b,) number of steps.
        recorded: maps a step to the features (b, d) at that step, for the steps to record.
    """

    features: Tensor
    cosines: Tensor
    vectors: Tensor | None = None
    losses: Tensor | None = None
    steps: Tensor | None = None
    recorded: Mapping[int, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are not None, by name, without ``recorded``."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: each for name, each in found.items() if each is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> InversionBatch:
        """Build a batch from named tensors."""
        return cls(*(tensors.get(name) for name in PARTS))  # type: ignore[arg-type]


class Inverter(Protocol):
    """A method with its options and its context."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every option that shapes the result, resolved; plain JSON types."""
        ...

    @property
    def steps(self) -> int:
        """Maximum number of steps per item; 0 if the method does not optimise."""
        ...

    def room(self, budget: int) -> int:
        """Number of items that fit into ``budget`` bytes."""
        ...

    def __call__(
        self, names: Sequence[str], rows: Tensor, advance: Advance, at: Sequence[int] = ()
    ) -> InversionBatch:
        """Invert unit rows (b, d). The result of an item depends on its name, not on others."""
        ...


class Prepares(Protocol):
    """The part of an inversion method that a run uses."""

    @property
    def name(self) -> str:
        """The name on the card."""
        ...

    @property
    def card(self) -> Card:
        """The card of the method."""
        ...

    def prepare(self, context: InversionContext, options: Mapping[str, Any]) -> Inverter:
        """Build the inverter for these options."""
        ...
