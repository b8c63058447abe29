"""Definition of an inversion method: a card, and a function that builds an inverter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from modalgap.arguments import plain
from modalgap.card import Card
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.encode import Encoder
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.output import Inverted
from modalgap.invert.run import run
from modalgap.method import Method


@dataclass(frozen=True, repr=False)
class Inversion(Method):
    """An inversion method.

    Attributes:
        card: description of the method.
        rule: (InversionContext, options) to an ``Inverter``.
    """

    kind: ClassVar[str] = "inversion"
    card: Card
    rule: Callable[..., Inverter]

    @property
    def body(self) -> Callable[..., Inverter]:
        """The function that builds the inverter."""
        return self.rule

    def __call__(
        self,
        data: Embeddings | Pair | Modalities | str | Path,
        model: str | Encoder | None = None,
        output: str | Path | None = None,
        **options: Any,
    ) -> Inverted:
        """Invert with this method; as ``modalgap.invert``.

        Args:
            data: embeddings, a pair, or a file of either.
            model: LIBRARY:MODEL or an ``Encoder``, for methods that need one.
            output: the .safetensors to write.
            **options: options of ``modalgap.invert`` and of this method.
        """
        return run(data, self, model, output, **options)

    def prepare(self, context: InversionContext, options: Mapping[str, Any]) -> Inverter:
        """Build the inverter for these options.

        Raises:
            OptionError: the method does not have an option.
        """
        self.check_options(options)
        return self.rule(context, **{name: plain(value) for name, value in options.items()})
