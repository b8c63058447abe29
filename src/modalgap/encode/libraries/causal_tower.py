"""CLIP's text tower up to end-of-text: the causal mask hides later positions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from modalgap.encode.tokens import Tokens


class CausalTextTower:
    """A causal transformer that reads its feature at end-of-text.

    Args:
        token_embedding: maps ids to (b, l, width).
        positions: (context, width), added to the embedded tokens.
        blocks: ``blocks(x, mask)``: all layers on (b, l, width) with an additive mask (l, l).
        norm: the norm after the layers.
        project: maps (b, width) to features (b, d).
    """

    def __init__(
        self,
        token_embedding: nn.Module,
        positions: Tensor,
        blocks: Callable[[Tensor, Tensor], Tensor],
        norm: Callable[[Tensor], Tensor],
        project: Callable[[Tensor], Tensor],
    ) -> None:
        self.token_embedding = token_embedding
        self.positions = positions
        self.context = len(positions)
        self.blocks = blocks
        self.norm = norm
        self.project = project

    def __call__(self, tokens: Tokens) -> Tensor:
        """Features (b, d) of tokens; ``ids`` may be truncated to the longest text."""
        embedded = self.token_embedding(tokens.ids)
        length = embedded.shape[1]
        x = embedded + self.positions[:length].to(embedded.dtype)
        mask = torch.full((length, length), -torch.inf, dtype=x.dtype, device=x.device).triu_(1)
        x = self.blocks(x, mask)
        ends = x[torch.arange(len(x), device=x.device), tokens.lengths - 1]  # (b, width)
        return self.project(self.norm(ends))
