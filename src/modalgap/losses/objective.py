"""Objective: a weighted sum of losses, as a configuration writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from modalgap.checks import finite
from modalgap.errors import OptionError
from modalgap.losses.base import Features
from modalgap.losses.registry import LOSSES


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses.

    Attributes:
        weights: name to weight.
        options: name to the options of that loss.
    """

    weights: Mapping[str, float]
    options: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Objective:
        """From ``{"infonce": 1.0, "cyclip": {"weight": 0.5, "in_modal": 1.0}}``.

        Raises:
            OptionError: no loss, or a loss, option or weight that nothing has.
        """
        if not isinstance(said, Mapping) or not said:
            raise OptionError(f"losses: must map names to weights; got {said!r}")
        weights, options = {}, {}
        for name, value in said.items():
            if name not in LOSSES:
                raise OptionError.unknown("loss", str(name), LOSSES)
            own = dict(value) if isinstance(value, Mapping) else {"weight": value}
            weights[name] = own.pop("weight", 1.0)
            finite(f"losses.{name}: weight", weights[name])
            for key, number in own.items():
                if key not in LOSSES[name].options:
                    raise OptionError.unknown(f"option of {name}", str(key), LOSSES[name].options)
                finite(f"losses.{name}.{key}", number)
            options[name] = own
        return cls(weights, options)

    @property
    def needs(self) -> set[str]:
        """What the features must have."""
        return {need for name in self.weights for need in LOSSES[name].card.needs}

    def __call__(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum (), and each loss by itself, without weight or gradient."""
        parts = {name: LOSSES[name](features, **self.options[name]) for name in self.weights}
        total = sum(
            (self.weights[name] * part for name, part in parts.items()),
            start=features.image.new_zeros((), dtype=features.wide.image.dtype),
        )
        return total, {name: part.detach() for name, part in parts.items()}
