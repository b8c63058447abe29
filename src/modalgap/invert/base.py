"""What an inversion method is: a card, and a rule that makes an inverter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor

from modalgap.arguments import plain
from modalgap.card import Card
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder
from modalgap.method import Method

if TYPE_CHECKING:
    from modalgap.invert.output import Inverted

Advance = Callable[[int], None]
PARTS = ("features", "cosines", "vectors", "losses", "steps")  # of ``Done``


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What a rule has at hand.

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
class Done:
    """What became of some items.

    Attributes:
        features: (b, d) unit rows, in the other modality.
        cosines: (b,) of each with the feature that it was made from.
        vectors: (b, k, width) pseudo-tokens or pseudo-patches.
        losses: (b, s + 1) at the start and after each step.
        steps: (b,) taken.
        looks: step to features (b, d) at that step, where asked for.
    """

    features: Tensor
    cosines: Tensor
    vectors: Tensor | None = None
    losses: Tensor | None = None
    steps: Tensor | None = None
    looks: Mapping[int, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """All that there is, by name, but for the looks."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: each for name, each in found.items() if each is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Done:
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
    ) -> Done:
        """Invert unit rows (b, d); what an item gives depends on its name, not on the others."""
        ...


@dataclass(frozen=True, repr=False)
class Inversion(Method):
    """A card and a rule.

    Attributes:
        card: what it says of itself.
        rule: (Given, options) to an ``Inverter``.
    """

    kind: ClassVar[str] = "inversion"
    card: Card
    rule: Callable[..., Inverter]

    @property
    def body(self) -> Callable[..., Inverter]:
        """The function that makes the inverter."""
        return self.rule

    def __call__(
        self,
        data: Embeddings | Pair | str | Path,
        model: str | Encoder | None = None,
        output: str | Path | None = None,
        **options: Any,
    ) -> Inverted:
        """As ``modalgap.invert`` with this method.

        Args:
            data: embeddings, a pair, or a file of either.
            model: LIBRARY:MODEL or an ``Encoder``, for methods that need one.
            output: the .safetensors to write.
            **options: of ``modalgap.invert`` and of this method.
        """
        from modalgap.invert.verb import invert

        return invert(data, self, model, output, **options)

    def prepare(self, given: Given, options: Mapping[str, Any]) -> Inverter:
        """The inverter of these options.

        Raises:
            OptionError: an option that this method does not have.
        """
        self.check_options(options)
        return self.rule(given, **{name: plain(value) for name, value in options.items()})
