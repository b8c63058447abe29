"""What a loss is: a card, and a rule that turns features of a batch into one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from modalgap.card import options_of
from modalgap.errors import InputError, NotApplicable, OptionError

Given = TypeVar("Given")


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """A batch as both towers see it, gathered over processes, with gradients.

    Attributes:
        image: (n, d) unit rows.
        text: (n, d) unit rows; row i matches row i of ``image``.
        scale: () 1/τ, positive.
        bias: () added to the logits of SigLIP.
        views: two augmented views of the images, unit rows, (n, d) each.

    Raises:
        InputError: a shape is not the one above.
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    bias: Tensor | None = None
    views: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        for name, one, other in (
            ("image and text", self.image, self.text),
            ("both views", *(self.views or (self.image, self.text))),
        ):
            if one.ndim != 2 or one.shape != other.shape or not len(one):
                got = f"{tuple(one.shape)} and {tuple(other.shape)}"
                raise InputError(f"{name} must have one shape (n, d), n at least 1; got {got}")
        for name, value in (("scale", self.scale), ("bias", self.bias)):
            if value is not None and value.ndim:
                raise InputError(f"{name} must be a () tensor; got one of {tuple(value.shape)}")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that is there."""
        every = (self.image, self.text, self.scale, self.bias, *(self.views or ()))
        return tuple(each for each in every if each is not None)

    @property
    def precise(self) -> Features:
        """The same in float32, or in float64 where it is that already."""
        return Features(
            image=_precise(self.image),
            text=_precise(self.text),
            scale=_precise(self.scale),
            bias=None if self.bias is None else _precise(self.bias),
            views=None
            if self.views is None
            else (_precise(self.views[0]), _precise(self.views[1])),
        )


@dataclass(frozen=True, kw_only=True)
class LossCard:
    """The description of one loss.

    Attributes:
        name: the name used in Python, on the command line and in files.
        title: a short name for people.
        idea: one sentence on what it asks of the features.
        equation: the loss, in LaTeX; x images, y texts, s = 1/τ, n pairs.
        source: paper and section.
        needs: what it takes beyond image, text and scale: "views", "bias".
        take_it: when it is the one to take.
        beware: when it fails.
    """

    name: str
    title: str
    idea: str
    equation: str
    source: str
    needs: tuple[str, ...] = ()
    take_it: str
    beware: str


@dataclass(frozen=True)
class Loss:
    """A card and a rule.

    Attributes:
        card: what the loss says of itself.
        compute: (Features, **options) to a () tensor. Call the loss itself rather than this: it
            sees to precision and to errors.
    """

    card: LossCard
    compute: Callable[..., Tensor]
    __doc__: str = field(default="", init=False)

    def __post_init__(self) -> None:
        doc = f"{self.card.title}. {self.card.idea}\n\n{self.compute.__doc__ or ''}"
        object.__setattr__(self, "__doc__", doc)

    @property
    def name(self) -> str:
        """The name on the card."""
        return self.card.name

    @property
    def options(self) -> Mapping[str, Any]:
        """Options and their defaults."""
        return options_of(self.compute)

    def __call__(self, features: Features, **options: Any) -> Tensor:
        """The loss, in float32 or, from float64 features, in float64; autocast is off inside.

        Raises:
            OptionError: an option that this loss has not, or a value it cannot take.
            NotApplicable: the features lack what it needs.
        """
        for name in options:
            if name not in self.options:
                raise OptionError.unknown(f"option of {self.name}", name, self.options)
        for need in self.card.needs:
            there(self.name, need, getattr(features, need))
        with torch.autocast(features.image.device.type, enabled=False):
            return self.compute(features.precise, **options)


def there(loss: str, need: str, value: Given | None) -> Given:
    """What a loss needs of the features, or NotApplicable where it is None."""
    if value is None:
        raise NotApplicable(f"{loss} needs {need}, and the features have none")
    return value


def _precise(each: Tensor) -> Tensor:
    return each if each.dtype == torch.float64 else each.float()
