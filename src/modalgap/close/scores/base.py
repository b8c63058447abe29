"""What a correction is, and the verb that fits one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, Generic

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings import Embeddings
from modalgap.embeddings.arrays import Rows
from modalgap.embeddings.rows import numbers
from modalgap.errors import InputError, OptionError, quoted
from modalgap.linalg import blocks
from modalgap.method import Method, Options, pick


@dataclass(frozen=True, kw_only=True)
class CorrectionCard:
    """The description of one correction of scores.

    Attributes:
        name: the name used in Python and on the command line.
        title: a short name for people.
        idea: one sentence on what it does.
        equation: the rule, in LaTeX; s(q, x) a cosine, B the bank of queries.
        source: paper and section.
    """

    name: str
    title: str
    idea: str
    equation: str
    source: str


@dataclass(frozen=True, repr=False)
class CorrectionRule(Method, Generic[Options]):
    """A card; how to look at gallery and bank; how to correct a block of scores.

    Attributes:
        card: what the correction says of itself.
        learn: (gallery (m, d), bank (b, d), options) to tensors.
        apply: (scores (n, m), learnt, options) to corrected scores (n, m).
    """

    kind: ClassVar[str] = "correction"
    skip: ClassVar[int] = 2
    card: CorrectionCard
    learn: Callable[Concatenate[Tensor, Tensor, Options], dict[str, Tensor]]
    apply: Callable[[Tensor, Mapping[str, Tensor], Mapping[str, Any]], Tensor]

    @property
    def body(self) -> Callable[..., dict[str, Tensor]]:
        """The function that looks at gallery and bank."""
        return self.learn

    def __call__(
        self, gallery: Rows, bank: Rows, *args: Options.args, **options: Options.kwargs
    ) -> Correction:
        """Fit this correction; as ``modalgap.close.correct``."""
        if args:
            raise OptionError(f"options of {self.name} must be given by name; got {quoted(args)}")
        return correct(gallery, bank, self, **options)


@checked
@dataclass(frozen=True, eq=False)
class Correction:
    """A fitted correction: queries (n, d) to corrected scores (n, m).

    Attributes:
        rule: which correction.
        gallery: (m, d) unit rows.
        learnt: what the bank told.
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
        """The same of unit rows (n, d)."""
        return self.rule.apply(queries @ self.gallery.T, self.learnt, self.used)


@checked
def correct(
    gallery: Rows, bank: Rows, method: str | CorrectionRule = "nnn", **options: Any
) -> Correction:
    """Fit a correction of scores.

    Args:
        gallery: (m, d) what is searched.
        bank: (b, d) queries of the kind that will come.
        method: the name of a correction, ``modalgap.close.CORRECTIONS`` lists them; or one of your
            own.
        **options: the correction's own.

    Raises:
        OptionError: an unknown correction or option.
        InputError: gallery and bank differ in width, or hold rows that are zero or not finite.
    """
    from modalgap.close.scores.registry import CORRECTIONS

    rule = pick(method, CORRECTIONS, CorrectionRule, "method")
    rule.check_options(options)
    used = {**rule.options, **options}
    learn: Callable[..., dict[str, Tensor]] = rule.learn
    rows, asked = _unit(gallery, "gallery"), _unit(bank, "bank")
    if rows.shape[1] != asked.shape[1]:
        raise InputError(
            f"gallery and bank: must have the same width; got {rows.shape[1]} and {asked.shape[1]}"
        )
    return Correction(rule, rows, learn(rows, asked, **used), used)


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
    found = torch.empty(len(items))
    for a, b in blocks(len(items), len(others)):
        found[a:b] = (items[a:b] @ others.T).topk(k, dim=1).values.mean(1)
    return found
