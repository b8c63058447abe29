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
        loss: the loss.
        weight: its factor; with weight 0 the loss is computed but not trained.
        options: options of the loss.
    """

    loss: Loss
    weight: float
    options: Mapping[str, Any]


@checked
@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses.

    Attributes:
        terms: the losses with their weights, in order.

    Example::

        objective = Objective.of({"infonce": 1, "uniformity": {"weight": 0.5, "t": 2}})
        total, parts = objective(features)
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, losses: Mapping[str | Loss, Any] | Mapping[str, Any]) -> Objective:
        """Make an objective from a mapping of losses to weights.

        Args:
            losses: name of a loss, or your own ``Loss``, to its weight or to weight and options,
                such as ``{"infonce": 1.0, "cyclip": {"weight": 1.0, "in_modal": 0.5}}``. The
                default weight is 1.

        Raises:
            OptionError: an unknown loss or option, a weight that is not finite, or no losses.
        """
        if not losses:
            raise OptionError("losses must have at least one loss; got none")
        return cls(tuple(_term(name, value) for name, value in losses.items()))

    @property
    def needs(self) -> set[str]:
        """What the losses need in addition to image, text and scale: "views", "bias"."""
        return {str(need) for term in self.terms for need in term.loss.card.needs}

    def __call__(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each unweighted loss without gradient.

        The sum has a gradient, possibly zero, for every tensor of the features. Otherwise
        distributed training would wait forever for gradients of weights that no loss uses.

        Raises:
            OptionError: a loss does not allow the value of an option.
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


def _term(name: str | Loss, value: Any) -> Term:
    loss = pick(name, LOSSES, Loss, "losses")
    options = dict(value) if isinstance(value, Mapping) else {"weight": value}
    weight = plain(options.pop("weight", 1.0))
    finite(f"weight of {loss.name}", weight)
    loss.check_options(options, "weight")
    return Term(loss, float(weight), {key: plain(each) for key, each in options.items()})
