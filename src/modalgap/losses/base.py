"""What a loss is: a card and a rule; and the features that it is computed on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.errors import NotApplicable


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """One batch, as a model sees it.

    Attributes:
        image: (n, d) unit rows; row i matches row i of ``text``. Rows of all processes, with
            gradients.
        text: (n, d) unit rows.
        scale: () 1/τ, what cosines are multiplied with.
        bias: () what is added to scaled cosines, or None.
        views: two views of each image, (n, d) unit rows each, or None.
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    bias: Tensor | None = None
    views: tuple[Tensor, Tensor] | None = None

    @property
    def wide(self) -> Features:
        """The same in float32 at least: sums of exponentials need more than half precision."""
        views = None if self.views is None else (_wide(self.views[0]), _wide(self.views[1]))
        return Features(
            image=_wide(self.image),
            text=_wide(self.text),
            scale=_wide(self.scale),
            bias=None if self.bias is None else _wide(self.bias),
            views=views,
        )


@dataclass(frozen=True, kw_only=True)
class LossCard:
    """The description of one loss.

    Attributes:
        name: the name used in Python and in configurations.
        title: a short name for people.
        idea: one sentence on what it asks of the features.
        equation: in LaTeX; x images, y texts, S_ij = ⟨x_i, y_j⟩.
        source: paper and section.
        needs: "views", "bias".
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
        compute: (Features, **options) to a tensor ().
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
        parameters = list(inspect.signature(self.compute).parameters.values())[1:]
        return {each.name: each.default for each in parameters}

    def __call__(self, features: Features, **options: Any) -> Tensor:
        """The loss () of one batch.

        Raises:
            NotApplicable: the features lack what it needs.
        """
        for need in self.card.needs:
            if getattr(features, need) is None:
                raise NotApplicable(f"{self.name}: needs {need}; the features have none")
        return self.compute(features.wide, **options)


def symmetric_cross_entropy(logits: Tensor) -> Tensor:
    """Mean of the cross-entropies of rows and columns of (n, n); matches are on the diagonal."""
    target = torch.arange(len(logits), device=logits.device)
    rows = functional.cross_entropy(logits, target)
    return (rows + functional.cross_entropy(logits.T, target)) / 2


def others(square: Tensor) -> Tensor:
    """(n, n - 1): each row of (n, n) without its diagonal entry."""
    n = len(square)
    if n < 2:
        raise NotApplicable(f"needs at least two pairs in a batch; got {n}")
    return square.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)


def log_mean_potential(cosine: Tensor, t: float) -> Tensor:
    """The log of the mean of exp(−t ‖u − v‖²) over cosines of unit rows."""
    flat = (2 * t * (cosine - 1)).flatten()
    found: Tensor = flat.logsumexp(0) - torch.log(flat.new_tensor(float(len(flat))))
    return found


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
