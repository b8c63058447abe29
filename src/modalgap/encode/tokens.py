"""Tokens: tokenised texts, in one form for every text tower."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokenised texts, padded on the right.

    Attributes:
        ids: (b, l) integers.
        lengths: (b,) number of positions of each row that affect its feature. ``ids`` may be
            truncated to the longest. If padding affects the feature of a tower, the length of
            every row is l, and ``ids`` is never truncated.
        cut: (b,) whether the text was longer than the context and was truncated.
    """

    ids: Tensor
    lengths: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Tensor) -> Tokens:
        """The texts at ``index`` (k,), truncated to the longest of them."""
        lengths = self.lengths[index]
        longest = int(lengths.max())
        return Tokens(self.ids[index, :longest], lengths, self.cut[index])

    def to(self, device: torch.device) -> Tokens:
        """The same tokens on another device."""
        return Tokens(self.ids.to(device), self.lengths.to(device), self.cut)
