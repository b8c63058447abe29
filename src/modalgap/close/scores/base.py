"""CorrectionRule and Correction: a correction of scores before and after it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, Generic

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Embeddings
from modalgap.embeddings.arrays import Rows
from modalgap.embeddings.rows import numbers
from modalgap.errors import InputError, OptionError, quoted
from modalgap.linalg import blocks
from modalgap.method import Method, Options


@dataclass(frozen=True, repr=False)
class CorrectionRule(Method, Generic[Options]):
    """A method that corrects scores: a card, a function that fits and a function that corrects.

    Attributes:
        card: its description.
        learn: (gallery (m, d), bank (b, d), options) to tensors.
        apply: (scores (n, m), learnt, options) to corrected scores (n, m).
    """

    kind: ClassVar[str] = "correction"
    skip: ClassVar[int] = 2
    card: Card
    learn: Callable[Concatenate[Tensor, Tensor, Options], dict[str, Tensor]]
    apply: Callable[[Tensor, Mapping[str, Tensor], Mapping[str, Any]], Tensor]

    @property
    def body(self) -> Callable[..., dict[str, Tensor]]:
        """The function that fits to gallery and bank."""
        return self.learn

    def __call__(
        self, gallery: Rows, bank: Rows, *args: Options.args, **options: Options.kwargs
    ) -> Correction:
        """Fit this correction; as ``modalgap.close.correct``."""
        if args:
            raise OptionError(f"options of {self.name} must be passed by name; got {quoted(args)}")
        return self.fitted(gallery, bank, options)

    def fitted(self, gallery: Rows, bank: Rows, options: Mapping[str, Any]) -> Correction:
        """Fit this correction; see ``modalgap.close.correct``."""
        self.check_options(options)
        used = {**self.options, **options}
        learn: Callable[..., dict[str, Tensor]] = self.learn
        rows, asking = _unit(gallery, "gallery"), _unit(bank, "bank")
        if rows.shape[1] != asking.shape[1]:
            raise InputError(
                "gallery and bank: must have the same width; got"
                f" {rows.shape[1]} and {asking.shape[1]}"
            )
        return Correction(self, rows, learn(rows, asking, **used), used)


@checked
@dataclass(frozen=True, eq=False)
class Correction:
    """A fitted correction: queries (n, d) to corrected scores (n, m).

    Attributes:
        rule: which correction.
        gallery: (m, d) unit rows.
        learnt: statistics of the bank.
        used: its options, defaults included.
    """

    rule: CorrectionRule
    gallery: Tensor
    learnt: Mapping[str, Tensor]
    used: Mapping[str, Any]

    def __call__(self, queries: Any) -> Tensor:
        """Corrected scores (n, m), float32, of queries (n, d)."""
        rows = _unit(queries, "query")
        if rows.shape[1] != self.gallery.shape[1]:
            raise InputError(
                f"queries: must have {self.gallery.shape[1]} columns; found {rows.shape[1]}"
            )
        return self.scores(rows)

    def scores(self, queries: Tensor) -> Tensor:
        """Corrected scores (n, m) of unit rows (n, d)."""
        return self.rule.apply(queries @ self.gallery.T, self.learnt, self.used)


def _unit(rows: Any, source: str) -> Tensor:
    """Unit rows (n, d), n of at least 1."""
    if isinstance(rows, Embeddings):
        return rows.unit()
    found = numbers(rows, source)
    n = len(found)
    return Embeddings(found if n > 1 else torch.cat([found, found]), source).unit(0, n)


def mean_of_nearest(items: Tensor, others: Tensor, k: int) -> Tensor:
    """(n,) mean cosine of each of items (n, d) to its k nearest of others (m, d)."""
    k = min(k, len(others))
    result = torch.empty(len(items))
    for a, b in blocks(len(items), len(others)):
        result[a:b] = (items[a:b] @ others.T).topk(k, dim=1).values.mean(1)
    return result
