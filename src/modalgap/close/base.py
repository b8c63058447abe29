"""Closer: a method that fits a map to a pair, or moves the rows of a pair directly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Concatenate, Generic

from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from modalgap import checks
from modalgap.arguments import plain
from modalgap.card import Card
from modalgap.close.affine import AffineMap, Steps
from modalgap.close.statistics import CAP, Evidence
from modalgap.embeddings import Embeddings, Moments, Pair, PairMoments
from modalgap.embeddings.arrays import Rows, pair_of
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.method import Method, Options


class Transductive(UserWarning):
    """The closer moves the rows of this pair and cannot be applied to new rows."""


Fittable = (
    Pair | PairMoments | Embeddings | Mapping[str, Embeddings | NDArray[Any] | Tensor | Moments]
)


@dataclass(frozen=True)
class Fitted:
    """The result of fitting: role to steps, and facts about them."""

    roles: Mapping[str, Steps]
    facts: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, int] | None = None


@dataclass(frozen=True, repr=False)
class Closer(Method, Generic[Options]):
    """A closing method.

    Attributes:
        card: its description.
        fit: (Evidence, options) to ``Fitted``; None for a transductive closer.
        transform: (Pair, options) to a closed ``Pair``; only for a transductive closer.
    """

    kind: ClassVar[str] = "closer"
    card: Card
    fit: Callable[Concatenate[Evidence, Options], Fitted] | None = None
    transform: Callable[Concatenate[Pair, Options], Pair] | None = None

    def __post_init__(self) -> None:
        if (self.fit is None) == (self.transform is None):
            raise OptionError(f"{self.name}: a closer must have either fit or transform")
        super().__post_init__()

    @property
    def transductive(self) -> bool:
        """Whether it cannot be applied to new rows."""
        return self.fit is None

    @property
    def body(self) -> Callable[..., Fitted] | Callable[..., Pair]:
        """``fit`` or ``transform``, whichever it has."""
        body = self.fit or self.transform
        assert body is not None  # noqa: S101 - as __post_init__ checks
        return body

    def resolved(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options: ``options``, and defaults for the others."""
        self.check_options(options)
        used = {**self.options, **{name: plain(value) for name, value in options.items()}}
        if "seed" in used:
            checks.whole("seed", used["seed"], 0)
        return used

    def fitted(self, data: Fittable, options: Mapping[str, Any]) -> AffineMap:
        """The map of this closer, fitted to a sample; see ``modalgap.close.fit``."""
        used = self.resolved(options)
        if self.fit is None:
            raise OptionError(
                f"{self.name} is transductive: it cannot be applied to new data, so it has no map"
                f" to fit; use modalgap.close(pair, {quoted(self.name)}), or modalgap close"
                f" {self.name}"
            )
        weights = self.card.needed("weights")
        if weights and not isinstance(data, Mapping):
            raise InputError(
                f"{self.name} needs projection weights: a mapping of 'image' and 'text' to"
                f" (d, p) arrays, or --model"
            )
        evidence = Evidence(data, weights=weights)
        reads = self.card.reads
        keep = CAP if reads == "covariances" or reads == "rows" else 0
        try:
            evidence.read(squares=reads == "variances", keep=keep, seed=used.get("seed", 0))
            rule: Callable[..., Fitted] = self.fit
            found = rule(evidence, **used)
        except NotApplicable as reason:
            raise NotApplicable(f"{self.name}: {reason}") from None
        return AffineMap(
            dims=found.dims or {role: known.dim for role, known in evidence.roles.items()},
            roles=found.roles,
            method=self.name,
            options=used,
            fitted_on={role: known.identity for role, known in evidence.roles.items()},
            facts=found.facts,
        )

    def closed(self, pair: Pair, options: Mapping[str, Any]) -> Pair:
        """The pair, closed by this closer fitted to the same pair; see ``modalgap.close``."""
        if self.transform is None:
            return self.fitted(pair, options).apply(pair)
        used = self.resolved(options)
        warnings.warn(
            f"{self.name} is transductive: it moves these rows and cannot be applied to new data",
            Transductive,
            stacklevel=5,
        )
        try:
            transform: Callable[..., Pair] = self.transform
            return transform(pair, **used)
        except NotApplicable as reason:
            raise NotApplicable(f"{self.name}: {reason}") from None

    def __call__(
        self,
        pair: Pair | Rows,
        text: Rows | None = None,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        pairs: ArrayLike | Tensor | None = None,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Pair:
        """Fit this closer to a pair and close the same pair, as ``modalgap.close`` does.

        Args:
            pair: a ``Pair``, or rows (n, d) of the first modality.
            text: rows (m, d) of the second modality.
            text_to_image: (m,) the image of each text.
            labels: (n,) the text of each image.
            pairs: (k, 2) an image and a text that match.
            *args: not used; pass options by name.
            **options: options of the closer.

        Returns:
            The pair, closed.
        """
        if args:
            raise OptionError(f"options of {self.name} must be passed by name; got {quoted(args)}")
        data = pair_of(
            self.name, pair, text, text_to_image=text_to_image, labels=labels, pairs=pairs
        )
        return self.closed(data, options)
