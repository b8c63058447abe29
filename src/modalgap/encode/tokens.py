"""Tokens: tokenised texts, as every text tower takes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokenised texts, padded on the right.

    Attributes:
        ids: (b, l) integers.
        lengths: (b,) how many positions of each row count towards its feature. Whoever holds
            tokens may cut ``ids`` after the longest. A tower whose padding takes part in its
            feature says l for every row, and so is never cut.
        cut: (b,) whether the text was longer than the tower's context and lost its end.
    """

    ids: Tensor
    lengths: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Tensor) -> Tokens:
        """The texts at ``index`` (k,), cut after the longest of them."""
        lengths = self.lengths[index]
        longest = int(lengths.max())
        return Tokens(self.ids[index, :longest], lengths, self.cut[index])

    def to(self, device: torch.device) -> Tokens:
        """The same on another device."""
        return Tokens(self.ids.to(device), self.lengths.to(device), self.cut)
