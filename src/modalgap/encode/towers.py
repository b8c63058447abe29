"""The layers of a tower, with vectors in place of tokens or patches.

A hook replaces the output of a tower's embedding; the library computes the rest. A tower with
standard transformer layers is also available as a ``Stack`` of layers, to skip work that cannot
change a feature: constant positions before the first variable one and, in the last layer,
positions that are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from modalgap.encode.tokens import Tokens

Past = tuple[Tensor, Tensor]  # keys and values (1, heads, l, width of a head)


@dataclass(frozen=True, eq=False)
class Layer:
    """A pre-norm transformer layer: attention and an MLP, each with a residual connection.

    Attributes:
        norm1: norm before attention.
        weight: (3 w, w) weights of queries, keys and values.
        bias: (3 w,), or None.
        heads: number of attention heads.
        out: output projection of attention.
        norm2: norm before the MLP.
        mlp: the MLP.
    """

    norm1: nn.Module
    weight: Tensor
    bias: Tensor | None
    heads: int
    out: Callable[[Tensor], Tensor]
    norm2: nn.Module
    mlp: Callable[[Tensor], Tensor]

    def __call__(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        past: Past | None = None,
        reads: slice | None = None,
    ) -> Tensor:
        """Map (b, l, w) to (b, r, w), where r is l or the number of positions in ``reads``.

        Args:
            x: the input.
            mask: (l, p + l), added to the attention scores.
            past: keys and values of the p positions before.
            reads: the positions to compute the output for; by default all.
        """
        normed = self.norm1(x)
        w = x.shape[-1]
        if reads is None:
            query, keys, values = self._project(normed, 0, 3 * w).chunk(3, -1)
        else:
            x = x[:, reads]
            query = self._project(normed[:, reads], 0, w)
            keys, values = self._project(normed, w, 3 * w).chunk(2, -1)
        q, k, v = (self._split(each) for each in (query, keys, values))
        if past is not None:
            k, v = (
                torch.cat([old.expand(len(x), -1, -1, -1), new], 2)
                for old, new in zip(past, (k, v), strict=True)
            )
        if reads is None:
            found = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:  # for one query, gradients of the fused kernel depend on its memory address
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
            found = torch.softmax(scores if mask is None else scores + mask, -1) @ v
        x = x + self.out(found.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

    def past(self, x: Tensor) -> Past:
        """Keys and values of the input (b, l, w), for the positions after it."""
        keys, values = self._project(self.norm1(x), x.shape[-1], None).chunk(2, -1)
        return self._split(keys), self._split(values)

    def _project(self, x: Tensor, start: int, stop: int | None) -> Tensor:
        bias = None if self.bias is None else self.bias[start:stop]
        return functional.linear(x, self.weight[start:stop], bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class Stack:
    """A tower as a list of layers.

    Attributes:
        enter: ``enter(embedded, start)`` maps embedded tokens or patches (b, l, width) at
            positions ``start`` … ``start`` + l - 1 to the input of the first layer.
        layers: all layers.
        leave: maps the positions that are read from the last layer, (b, r, width), to features
            (b, d).
        reads: these positions: "first", "last", "end" for end-of-text, or "all".
        causal: whether each position attends only to itself and to earlier ones.
    """

    enter: Callable[[Tensor, int], Tensor]
    layers: Sequence[Layer]
    leave: Callable[[Tensor], Tensor]
    reads: Literal["first", "last", "end", "all"]
    causal: bool = False

    def features(self, embedded: Tensor, pasts: Sequence[Past] = ()) -> Tensor:
        """Features (b, d) of embedded tokens or patches (b, l, width).

        Args:
            embedded: all positions up to the last that is read, which is end-of-text; or the
                positions after the ``pasts``.
            pasts: the result of ``prefix`` for the positions before.
        """
        before = pasts[0][0].shape[2] if pasts else 0
        x = self.enter(embedded, before)
        length = x.shape[1]
        mask = _causal(before, length, x) if self.causal and length > 1 else None
        *inner, last = self.layers
        for i, layer in enumerate(inner):
            x = layer(x, mask, pasts[i] if pasts else None)
        past = pasts[-1] if pasts else None
        if self.reads == "all":
            return self.leave(last(x, mask, past))
        if self.reads == "first":
            return self.leave(last(x, None if mask is None else mask[:1], past, slice(0, 1)))
        # the last position attends to all positions with either mask
        return self.leave(last(x, None, past, slice(length - 1, length)))

    @torch.no_grad()
    def prefix(self, embedded: Tensor) -> tuple[Past, ...]:
        """Keys and values of positions (1, p, width), which later positions cannot change."""
        x = self.enter(embedded, 0)
        mask = _causal(0, x.shape[1], x)
        pasts = []
        for layer in self.layers:
            pasts.append(layer.past(x))
            x = layer(x, mask)
        return tuple(pasts)


def _causal(before: int, length: int, like: Tensor) -> Tensor:
    """(length, before + length) mask: minus infinity for later positions."""
    mask = torch.full((length, before + length), -torch.inf, dtype=like.dtype, device=like.device)
    return mask.triu_(before + 1)


@dataclass(frozen=True, eq=False)
class TextTower:
    """A text tower in which vectors can replace tokens.

    Attributes:
        embedding: maps ids (b, l) to (b, l, width).
        encode: maps tokens to features; calls ``embedding`` once.
        context: number of positions.
        words: maps ids to readable tokens.
        stack: the layers, if they are standard transformer layers.
    """

    embedding: nn.Module
    encode: Callable[[Tokens], Tensor]
    context: int
    words: Callable[[Sequence[int]], list[str]]
    stack: Stack | None = None

    def features(self, embedded: Tensor, tokens: Tokens) -> Tensor:
        """Map embedded tokens (b, l, width), before positions are added, to features (b, d)."""
        with standing_in(self.embedding, embedded):
            return self.encode(tokens)


@dataclass(frozen=True, eq=False)
class ImageTower:
    """An image tower in which vectors can replace patches.

    Attributes:
        embedding: the layer from pixels to patches: a convolution or a linear layer.
        encode: maps prepared images to features; calls ``embedding`` once.
        blank: (1, …) one prepared image; its pixels have no effect.
        stack: the layers, if they are standard transformer layers.
    """

    embedding: nn.Module
    encode: Callable[[Tensor], Tensor]
    blank: Tensor
    stack: Stack | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of patches, and their width."""
        kind = self._kind
        if len(kind) == 4:
            return int(kind[2] * kind[3]), int(kind[1])
        return int(kind[1]), int(kind[2])

    def features(self, patches: Tensor) -> Tensor:
        """Map patches (b, n, width), before positions are added, to features (b, d)."""
        grid = len(self._kind) == 4
        columns = patches.transpose(1, 2)
        vectors = columns.reshape(*columns.shape[:2], *self._kind[2:]) if grid else patches
        blank = self.blank.to(patches.device).expand(len(patches), *self.blank.shape[1:])
        with standing_in(self.embedding, vectors):
            return self.encode(blank)

    def patches(self, images: Tensor) -> Tensor:
        """Patches (b, n, width) of prepared images: the output of the embedding."""
        found = self._embedded(images)
        return found.flatten(2).transpose(1, 2) if found.ndim == 4 else found

    @cached_property
    def _kind(self) -> torch.Size:
        """(1, width, rows, columns) or (1, n, width)."""
        return self._embedded(self.blank.to(next(self.embedding.parameters()).device)).shape

    @torch.no_grad()
    def _embedded(self, images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = self.embedding.register_forward_hook(lambda *call: seen.append(call[-1]))
        try:
            self.encode(images)
        finally:
            handle.remove()
        return seen[0]


@contextmanager
def standing_in(module: nn.Module, vectors: Tensor) -> Iterator[None]:
    """Replace the output of ``module`` by ``vectors`` inside the block."""

    def instead(_module: nn.Module, _inputs: Any, _output: Any) -> Tensor:
        return vectors

    handle = module.register_forward_hook(instead)
    try:
        yield
    finally:
        handle.remove()
