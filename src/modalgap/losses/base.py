"""Loss: a function of the features of a batch that returns one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
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

Needed = TypeVar("Needed")


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """Features of a batch from both towers, gathered over all processes, with gradients.

    Attributes:
        image: (n, d) unit rows.
        text: (n, d) unit rows; row i matches row i of ``image``.
        scale: () 1/τ, positive.
        bias: () added to the logits of SigLIP.
        views: two augmented views of the images, unit rows, (n, d) each.
        others: unit rows of further modalities, (n, d) each; row i matches row i of ``image``.

    Raises:
        InputError: a tensor has another shape.
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    bias: Tensor | None = None
    views: tuple[Tensor, Tensor] | None = None
    others: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        for name, one, other in (
            ("image and text", self.image, self.text),
            ("both views", *(self.views or (self.image, self.text))),
            *(("image and others", self.image, each) for each in self.others),
        ):
            if one.ndim != 2 or one.shape != other.shape or not len(one):
                got = f"{tuple(one.shape)} and {tuple(other.shape)}"
                raise InputError(f"{name} must have one shape (n, d), n at least 1; got {got}")
        for name, value in (("scale", self.scale), ("bias", self.bias)):
            if value is not None and value.ndim:
                raise InputError(f"{name} must be a () tensor; got one of {tuple(value.shape)}")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors that are not None."""
        every = (self.image, self.text, self.scale, self.bias, *(self.views or ()), *self.others)
        return tuple(each for each in every if each is not None)

    @property
    def modalities(self) -> tuple[Tensor, ...]:
        """The rows of every modality: image, text, others."""
        return (self.image, self.text, *self.others)

    @property
    def pairs(self) -> list[Features]:
        """The features of each two modalities, in order."""
        return [
            replace(self, image=one, text=two, others=())
            for one, two in combinations(self.modalities, 2)
        ]

    @property
    def precise(self) -> Features:
        """The same features in float32; float64 tensors are unchanged."""
        return Features(
            image=_precise(self.image),
            text=_precise(self.text),
            scale=_precise(self.scale),
            bias=None if self.bias is None else _precise(self.bias),
            views=None
            if self.views is None
            else (_precise(self.views[0]), _precise(self.views[1])),
            others=tuple(map(_precise, self.others)),
        )


@dataclass(frozen=True, repr=False)
class Loss(Method, Generic[Options]):
    """A loss.

    Attributes:
        card: its description.
        compute: (Features, options) to a () tensor. Call the loss instead of this function: the
            call also sets the precision and checks the arguments.
    """

    kind: ClassVar[str] = "loss"
    card: Card
    compute: Callable[Concatenate[Features, Options], Tensor]

    @property
    def body(self) -> Callable[..., Tensor]:
        """The function that computes the loss."""
        return self.compute

    def __call__(
        self,
        image: Features | Pair | Rows,
        text: Rows | None = None,
        scale: float | None = None,
        bias: float | None = None,
        views: tuple[Rows, Rows] | None = None,
        others: Sequence[Rows] = (),
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Tensor:
        """Compute the loss in float32, or in float64 for float64 features; autocast is disabled.

        With ``others``, a loss of two modalities is the mean over each two of them. A loss with the
        trait "together" takes all modalities at once.

        Args:
            image: ``Features`` of a batch; rows (n, d), which are normalised here and keep their
                gradients; or a ``Pair`` matched row by row.
            text: rows (n, d); row i matches row i of ``image``.
            scale: with arrays: 1/τ; 100 by default, as for measures.
            bias: with arrays: added to the logits of SigLIP.
            views: with arrays: two augmented views of the images, (n, d) each.
            others: with arrays: rows of further modalities, (n, d) each.
            *args: not used; pass options by name.
            **options: options of the loss.

        Returns:
            A () tensor.

        Raises:
            OptionError: the loss does not have an option, or a value is not allowed.
            NotApplicable: the features lack what the loss needs.
            InputError: both ``Features`` and arrays were passed, or a shape is wrong.
        """
        if args:
            raise OptionError(f"options of {self.name} must be passed by name; got {quoted(args)}")
        self.check_options(options)
        if not isinstance(image, Features):
            features = features_of(self.name, image, text, scale, bias, views, others)
        elif any(value is not None for value in (text, scale, bias, views)) or len(others):
            raise InputError(
                f"{self.name}: Features include text, scale, bias, views and others; do not pass"
                " these too"
            )
        else:
            features = image
        for need in self.card.needs:
            there(self.name, str(need), getattr(features, str(need)))
        compute: Callable[..., Tensor] = self.compute
        known = {name: plain(each) for name, each in options.items()}
        features = features.precise
        with torch.autocast(features.image.device.type, enabled=False):
            if not features.others or "together" in self.card.traits:
                return compute(features, **known)
            return torch.stack([compute(each, **known) for each in features.pairs]).mean()


def features_of(
    what: str,
    image: Pair | Rows,
    text: Rows | None,
    scale: float | None,
    bias: float | None,
    views: tuple[Rows, Rows] | None,
    others: Sequence[Rows] = (),
) -> Features:
    """Features with unit rows, from arrays; tensors keep their gradients."""
    if isinstance(image, Pair):
        if text is not None or image.matched_by != "rows":
            raise InputError(
                f"{what}: a Pair must be matched row by row, and be passed without text"
            )
        pair = image
        image, text = pair.image.unit(), pair.text.unit()
    factor = 100.0 if scale is None else plain(scale)
    at_least("scale", factor, 1e-6, 1e6)
    if bias is not None:
        finite("bias", plain(bias))
    if views is not None and (not isinstance(views, tuple | list) or len(views) != 2):
        raise InputError(f"views: must be two arrays (n, d); got {described(views)}")
    if not isinstance(others, tuple | list):
        raise InputError(f"others: must be a list of arrays (n, d); got {described(others)}")
    every = [("image", image), ("text", text), *(("others", each) for each in others)]
    count = len(every)
    every += [("views", each) for each in views or ()]
    rows = [_unit(each, name) for name, each in every]
    dtype = reduce(torch.promote_types, (each.dtype for each in rows))
    rows = [each.to(dtype) for each in rows]
    like = rows[0]
    return Features(
        image=rows[0],
        text=rows[1],
        scale=torch.tensor(float(factor), dtype=like.dtype, device=like.device),
        bias=None if bias is None else torch.tensor(float(bias), dtype=dtype).to(like),
        views=None if views is None else (rows[-2], rows[-1]),
        others=tuple(rows[2:count]),
    )


def _unit(rows: object, name: str) -> Tensor:
    """Unit rows (n, d); a tensor keeps its gradient and its device."""
    if rows is None:
        raise InputError(f"{name}: must be an array (n, d) unless Features are passed; got None")
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


def there(loss: str, need: str, value: Needed | None) -> Needed:
    """``value``, which the loss needs from the features.

    Raises:
        NotApplicable: it is None.
    """
    if value is None:
        raise NotApplicable(f"{loss} needs {need}; the features have none")
    return value


def _precise(each: Tensor) -> Tensor:
    return each if each.dtype == torch.float64 else each.float()
