"""What a closer is: a card, and a rule that fits a map or moves a pair."""

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
    """This closer moves the rows that it is given, and cannot be applied to new ones."""


Fittable = (
    Pair | PairMoments | Embeddings | Mapping[str, Embeddings | NDArray[Any] | Tensor | Moments]
)


@dataclass(frozen=True)
class Fitted:
    """What a rule found: role to steps, and facts about them."""

    roles: Mapping[str, Steps]
    facts: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, int] | None = None


@dataclass(frozen=True, repr=False)
class Closer(Method, Generic[Options]):
    """A card and a rule.

    Attributes:
        card: what the closer says of itself.
        fit: (Evidence, options) to ``Fitted``; None for a transductive closer.
        transform: (Pair, options) to a closed ``Pair``, for those.
    """

    kind: ClassVar[str] = "closer"
    card: Card
    fit: Callable[Concatenate[Evidence, Options], Fitted] | None = None
    transform: Callable[Concatenate[Pair, Options], Pair] | None = None

    def __post_init__(self) -> None:
        if (self.fit is None) == (self.transform is None):
            raise OptionError(f"{self.name}: a closer must have fit or transform, one of them")
        super().__post_init__()

    @property
    def transductive(self) -> bool:
        """Whether it cannot be applied to new rows."""
        return self.fit is None

    @property
    def body(self) -> Callable[..., Fitted] | Callable[..., Pair]:
        """The function that fits it, or moves a pair."""
        found = self.fit or self.transform
        assert found is not None  # noqa: S101 - as __post_init__ checks
        return found

    def resolved(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options: those given, and the defaults of the others."""
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
        """The pair, closed by this closer fitted on itself; see ``modalgap.close``."""
        if self.transform is None:
            return self.fitted(pair, options).apply(pair)
        used = self.resolved(options)
        warnings.warn(
            f"{self.name} is transductive: it moves these rows and cannot be applied to new ones",
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
        """Close a pair by this closer, fitted on itself; as ``modalgap.close``.

        Args:
            pair: a ``Pair``, or rows (n, d) of the first modality.
            text: rows (m, d) of the second modality.
            text_to_image: (m,) the image of each text.
            labels: (n,) the text of each image.
            pairs: (k, 2) an image and a text that match.
            *args: none: options go by name.
            **options: the closer's own.

        Returns:
            The pair, closed.
        """
        if args:
            raise OptionError(f"options of {self.name} must be given by name; got {quoted(args)}")
        data = pair_of(
            self.name, pair, text, text_to_image=text_to_image, labels=labels, pairs=pairs
        )
        return self.closed(data, options)
