"""Simulation: a card, and a function that makes a pair or a table from its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from modalgap._lazy import readable
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.method import Method, Options
from modalgap.result import Table

Made = TypeVar("Made", bound="Pair | Table")


@dataclass(frozen=True, repr=False)
class Simulation(Method, Generic[Made, Options]):
    """A simulation of theory, without a model or data. Call it with its options.

    Attributes:
        card: the description.
        rule: the function from options to a ``Pair``, or to a ``Table`` of numbers; no figure.
    """

    kind: ClassVar[str] = "simulation"
    skip: ClassVar[int] = 0
    card: Card
    rule: Callable[Options, Made]

    @property
    def body(self) -> Callable[..., Any]:
        """The function that simulates."""
        return self.rule

    def __call__(self, *args: Options.args, **options: Options.kwargs) -> Made:
        """Run the simulation.

        Args:
            *args: options, in the order of the signature.
            **options: options by name.

        Raises:
            OptionError: an unknown option, or a value outside its range.
        """
        self.check_options(options)
        return self.rule(*args, **options)

    def _call_signature(self) -> inspect.Signature:
        return readable(inspect.signature(self.rule))
