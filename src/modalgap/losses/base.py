"""What a loss is: a card, and a rule that turns features of a batch into one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, Concatenate, Generic, TypeVar

import torch
from torch import Tensor

from modalgap.arguments import checked, described, plain
from modalgap.card import Card
from modalgap.checks import at_least, finite
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.arrays import Rows
from modalgap.embeddings.rows import numbers
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.method import Method, Options

Given = TypeVar("Given")


@checked
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


@dataclass(frozen=True, repr=False)
class Loss(Method, Generic[Options]):
    """A card and a rule.

    Attributes:
        card: what the loss says of itself.
        compute: (Features, options) to a () tensor. Call the loss itself rather than this: it
            sees to precision and to errors.
    """

    kind: ClassVar[str] = "loss"
    card: Card
    compute: Callable[Concatenate[Features, Options], Tensor]

    @property
    def body(self) -> Callable[..., Tensor]:
        """The function that computes it."""
        return self.compute

    def __call__(
        self,
        image: Features | Pair | Rows,
        text: Rows | None = None,
        scale: float | None = None,
        bias: float | None = None,
        views: tuple[Rows, Rows] | None = None,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Tensor:
        """The loss, in float32 or, from float64 features, in float64; autocast is off inside.

        Args:
            image: ``Features`` of a batch; or rows (n, d), made unit here, whose gradients are
                kept; or a ``Pair`` matched row by row.
            text: rows (n, d); row i matches row i of ``image``.
            scale: 1/τ, of arrays; 100 by default, as of the measures.
            bias: added to the logits of SigLIP, of arrays.
            views: two augmented views of the images, (n, d) each, of arrays.
            *args: none: options go by name.
            **options: the loss's own.

        Returns:
            A () tensor.

        Raises:
            OptionError: an option that this loss has not, or a value it cannot take.
            NotApplicable: the features lack what it needs.
            InputError: features and arrays at once, or a wrong shape.
        """
        if args:
            raise OptionError(f"options of {self.name} must be given by name; got {quoted(args)}")
        self.check_options(options)
        if not isinstance(image, Features):
            features = features_of(self.name, image, text, scale, bias, views)
        elif any(value is not None for value in (text, scale, bias, views)):
            raise InputError(f"{self.name}: Features hold all that is needed; give them alone")
        else:
            features = image
        for need in self.card.needs:
            there(self.name, str(need), getattr(features, str(need)))
        compute: Callable[..., Tensor] = self.compute
        with torch.autocast(features.image.device.type, enabled=False):
            return compute(
                features.precise, **{name: plain(each) for name, each in options.items()}
            )


def features_of(
    what: str,
    image: Pair | Rows,
    text: Rows | None,
    scale: float | None,
    bias: float | None,
    views: tuple[Rows, Rows] | None,
) -> Features:
    """Features of arrays, as unit rows; gradients of tensors are kept."""
    if isinstance(image, Pair):
        if text is not None or image.matched_by != "rows":
            raise InputError(f"{what}: a Pair must be matched row by row, and be given alone")
        pair = image
        image, text = pair.image.unit(), pair.text.unit()
    factor = 100.0 if scale is None else plain(scale)
    at_least("scale", factor, 1e-6, 1e6)
    if bias is not None:
        finite("bias", plain(bias))
    if views is not None and (not isinstance(views, tuple | list) or len(views) != 2):
        raise InputError(f"views: must be two arrays (n, d); got {described(views)}")
    rows = [
        _unit(each, name)
        for name, each in (("image", image), ("text", text), *(("views", v) for v in views or ()))
    ]
    dtype = reduce(torch.promote_types, (each.dtype for each in rows))
    rows = [each.to(dtype) for each in rows]
    like = rows[0]
    return Features(
        image=rows[0],
        text=rows[1],
        scale=torch.tensor(float(factor), dtype=like.dtype, device=like.device),
        bias=None if bias is None else torch.tensor(float(bias)).to(like),
        views=None if views is None else (rows[2], rows[3]),
    )


def _unit(rows: object, name: str) -> Tensor:
    """Unit rows (n, d); a tensor keeps its gradient and its device."""
    if rows is None:
        raise InputError(f"{name}: must be an array (n, d), or all of it Features; got None")
    if isinstance(rows, Embeddings):
        return rows.unit()
    found = rows if isinstance(rows, Tensor) else numbers(rows, name)
    if not found.is_floating_point() or found.ndim != 2:
        raise InputError(f"{name}: must be floats (n, d); got {found.dtype} {tuple(found.shape)}")
    lengths = torch.linalg.vector_norm(found, dim=1, keepdim=True)
    if not bool((lengths.isfinite() & (lengths > 0)).all()):
        raise InputError(f"{name}: every row must be finite and not zero")
    unit: Tensor = found / lengths
    return unit


def there(loss: str, need: str, value: Given | None) -> Given:
    """What a loss needs of the features, or NotApplicable where it is None."""
    if value is None:
        raise NotApplicable(f"{loss} needs {need}, and the features have none")
    return value


def _precise(each: Tensor) -> Tensor:
    return each if each.dtype == torch.float64 else each.float()
