"""What an inversion works with and what it gives."""

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
PARTS = ("features", "cosines", "vectors", "losses", "steps")  # of ``InversionBatch``


@dataclass(frozen=True, kw_only=True, eq=False)
class InversionContext:
    """What a rule works with.

    Attributes:
        encoder: the model, on ``device``; None for rules that do without.
        device: where to compute.
        precision: "fp32", "bf16" or "fp16" for passes through the model.
        compiled: whether passes are compiled.
        seed: of noise.
        bank: pairs, or embeddings of the other modality, for rules that learn from some.
        dim: width of the features.
        modality: of the features that are inverted.
        into: the modality that they become.
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
    """What became of some items.

    Attributes:
        features: (b, d) unit rows, in the other modality.
        cosines: (b,) of each with the feature that it was made from.
        vectors: (b, k, width) pseudo-tokens or pseudo-patches.
        losses: (b, s + 1) at the start and after each step.
        steps: (b,) taken.
        recorded: step to features (b, d) at that step, for the steps that were asked for.
    """

    features: Tensor
    cosines: Tensor
    vectors: Tensor | None = None
    losses: Tensor | None = None
    steps: Tensor | None = None
    recorded: Mapping[int, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """All that there is, by name, but for those recorded."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: each for name, each in found.items() if each is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> InversionBatch:
        """What ``tensors`` gave."""
        return cls(*(tensors.get(name) for name in PARTS))  # type: ignore[arg-type]


class Inverter(Protocol):
    """A rule with everything that it needs."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every option that shapes the result, resolved; plain JSON types."""
        ...

    @property
    def steps(self) -> int:
        """How many steps an item takes at most; 0 where nothing is optimised."""
        ...

    def room(self, budget: int) -> int:
        """How many items fit into so many bytes."""
        ...

    def __call__(
        self, names: Sequence[str], rows: Tensor, advance: Advance, at: Sequence[int] = ()
    ) -> InversionBatch:
        """Invert unit rows (b, d); what an item gives depends on its name, not on the others."""
        ...


class Prepares(Protocol):
    """An inversion method, as far as a run needs to know it."""

    @property
    def name(self) -> str:
        """The name on the card."""
        ...

    @property
    def card(self) -> Card:
        """What it says of itself."""
        ...

    def prepare(self, context: InversionContext, options: Mapping[str, Any]) -> Inverter:
        """The inverter of these options."""
        ...
