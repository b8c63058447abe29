"""What ways without a search share: a map of rows, and the bank that it is made from."""

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
    """An inverter that maps rows, all alike.

    Args:
        settings: every option.
        rule: unit rows (b, d) to rows (b, d) of the other modality.
    """

    steps = 0

    def __init__(self, settings: Mapping[str, Any], rule: Callable[[Tensor], Tensor]) -> None:
        self.settings = settings
        self.rule = rule

    def room(self, budget: int) -> int:
        """All of them: rows are small."""
        return budget

    def __call__(
        self,
        names: Sequence[str],
        rows: Tensor,
        advance: Advance,
        at: Sequence[int] = (),  # noqa: ARG002 - of the protocol
    ) -> InversionBatch:
        """Rows mapped and made unit."""
        found = self.rule(rows)
        lengths = torch.linalg.vector_norm(found, dim=1)
        if not bool((lengths.isfinite() & (lengths > 0)).all()):
            row = int(torch.nonzero(~(lengths.isfinite() & (lengths > 0)))[0])
            raise NotApplicable(f"{names[row]}: becomes a row of zeros or of no numbers")
        features = normalize(found, dim=1)
        advance(len(rows))
        return InversionBatch(features, (features * rows).sum(1))


def pairs_of(context: InversionContext) -> tuple[Embeddings, Embeddings, Pair]:
    """Both sides of the bank: where features come from, and where they go.

    Raises:
        InputError: no pairs, of other modalities, or of another width.
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
    """The bank's embeddings of the modality that features go to.

    Raises:
        InputError: there are none, or they are of another width.
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
