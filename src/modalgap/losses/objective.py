"""Objective: a weighted sum of losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modalgap.arguments import checked, plain
from modalgap.checks import finite
from modalgap.errors import OptionError
from modalgap.losses.base import Features, Loss
from modalgap.losses.registry import LOSSES
from modalgap.method import pick


@dataclass(frozen=True)
class Term:
    """One loss in the sum.

    Attributes:
        loss: of ``LOSSES``.
        weight: its factor; with 0 the loss is watched, not trained.
        options: of the loss.
    """

    loss: Loss
    weight: float
    options: Mapping[str, Any]


@checked
@dataclass(frozen=True)
class Objective:
    """What is trained on.

    Attributes:
        terms: in the order given.

    Example::

        objective = Objective.of({"infonce": 1, "uniformity": {"weight": 0.5, "t": 2}})
        total, parts = objective(features)
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, losses: Mapping[str | Loss, Any] | Mapping[str, Any]) -> Objective:
        """From each loss, by name or of your own, to its weight, or to weight and options.

        Args:
            losses: such as ``{"infonce": 1.0, "cyclip": {"weight": 1.0, "in_modal": 0.5}}``; a
                mapping without ``weight`` has weight 1.

        Raises:
            OptionError: there is no such loss or option, a weight is not finite, or there is none.
        """
        if not losses:
            raise OptionError("losses must have at least one loss; got none")
        return cls(tuple(_term(name, said) for name, said in losses.items()))

    @property
    def needs(self) -> set[str]:
        """What the losses take beyond image, text and scale: "views", "bias"."""
        return {str(need) for term in self.terms for need in term.loss.card.needs}

    def __call__(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum, and each loss by itself, unweighted and without gradient.

        The sum has a gradient, if only of zeros, at all that is in the features: distributed
        training waits forever for that of a weight which no loss has used.

        Raises:
            OptionError: the value of an option is not one that the loss can take.
            NotApplicable: the features lack what a loss needs.
        """
        total = torch.zeros_like(features.scale.detach(), dtype=torch.float32)
        for each in features.tensors:
            if each.requires_grad:
                total = total + 0.0 * each.to(torch.promote_types(each.dtype, torch.float32)).sum()
        parts = {}
        for term in self.terms:
            with torch.set_grad_enabled(torch.is_grad_enabled() and term.weight != 0):
                value = term.loss(features, **term.options)
            parts[term.loss.name] = value.detach()
            if term.weight != 0:
                total = total + term.weight * value
        return total, parts


def _term(given: str | Loss, said: Any) -> Term:
    loss = pick(given, LOSSES, Loss, "losses")
    options = dict(said) if isinstance(said, Mapping) else {"weight": said}
    weight = plain(options.pop("weight", 1.0))
    finite(f"weight of {loss.name}", weight)
    loss.check_options(options, "weight")
    return Term(loss, float(weight), {name: plain(value) for name, value in options.items()})
