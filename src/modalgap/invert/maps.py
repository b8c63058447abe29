"""Shared code of the methods that map rows without optimisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import InputError, NotApplicable
from modalgap.invert.base import Advance, InversionBatch, InversionContext


class Mapped:
    """An inverter that applies one map to all rows.

    Args:
        settings: every option.
        rule: maps unit rows (b, d) to rows (b, d) of the target modality.
    """

    steps = 0

    def __init__(self, settings: Mapping[str, Any], rule: Callable[[Tensor], Tensor]) -> None:
        self.settings = settings
        self.rule = rule

    def room(self, budget: int) -> int:
        """The number of items per batch: unlimited, since rows are small."""
        return budget

    def __call__(
        self,
        names: Sequence[str],
        rows: Tensor,
        advance: Advance,
        at: Sequence[int] = (),  # noqa: ARG002 - of the protocol
    ) -> InversionBatch:
        """Map the rows and scale them to unit length."""
        found = self.rule(rows)
        lengths = torch.linalg.vector_norm(found, dim=1)
        if not bool((lengths.isfinite() & (lengths > 0)).all()):
            row = int(torch.nonzero(~(lengths.isfinite() & (lengths > 0)))[0])
            raise NotApplicable(f"{names[row]}: its mapped row is zero or not finite")
        features = normalize(found, dim=1)
        advance(len(rows))
        return InversionBatch(features, (features * rows).sum(1))


def pairs_of(context: InversionContext) -> tuple[Embeddings, Embeddings, Pair]:
    """Both sides of the bank: source modality and target modality, and the pair.

    Raises:
        InputError: the bank has no pairs, other modalities, or another width.
    """
    bank = context.bank
    if not isinstance(bank, Pair):
        found = "nothing" if bank is None else f"{bank.modality}s only"
        raise InputError(
            f"bank: must hold pairs of {context.modality}s and {context.into}s; got {found}"
        )
    sides = {side.modality: side for side in bank.sides}
    if set(sides) != {context.modality, context.into}:
        raise InputError(
            f"bank: must hold {context.modality}s and {context.into}s; got {' and '.join(sides)}"
        )
    _check(bank.dim, context)
    return sides[context.modality], sides[context.into], bank


def other_side(context: InversionContext) -> Embeddings:
    """The bank's embeddings of the target modality.

    Raises:
        InputError: the bank has none, or they have another width.
    """
    bank = context.bank
    sides = bank.sides if isinstance(bank, Pair) else () if bank is None else (bank,)
    found = [side for side in sides if side.modality == context.into]
    if not found:
        held = " and ".join(f"{side.modality}s" for side in sides) or "nothing"
        raise InputError(f"bank: must hold {context.into}s; got {held}")
    _check(found[0].dim, context)
    return found[0]


def _check(dim: int, context: InversionContext) -> None:
    if dim != context.dim:
        raise InputError(f"bank: must have rows of width {context.dim}; got {dim}")
