"""The inside of a tower: where vectors may stand for tokens or patches.

Any tower is entered by standing in for what its embedding gives; the rest is the library's own.
Towers whose layers are of the usual kind are also given layer by layer, as a ``Stack``, so that
what cannot change a feature need not be computed: positions that come before all that varies, and,
in the last layer, those that are not read.
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
    """A layer of attention and then a perceptron, each behind its norm and added to its input.

    Attributes:
        norm1: before attention.
        weight: (3 w, w) of queries, keys and values.
        bias: (3 w,), or None.
        heads: of attention.
        out: what follows attention.
        norm2: before the perceptron.
        mlp: the perceptron.
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
        """From (b, l, w) to (b, r, w), r being l or what ``reads`` selects.

        Args:
            x: the input.
            mask: (l, p + l) added to the scores of attention.
            past: keys and values of p positions before.
            reads: the only positions whose output is wanted.
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
        else:  # for one query, gradients of the fused kernel depend on where in memory it lies
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
            found = torch.softmax(scores if mask is None else scores + mask, -1) @ v
        x = x + self.out(found.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

    def past(self, x: Tensor) -> Past:
        """Keys and values of the input (b, l, w), for what comes after it."""
        keys, values = self._project(self.norm1(x), x.shape[-1], None).chunk(2, -1)
        return self._split(keys), self._split(values)

    def _project(self, x: Tensor, start: int, stop: int | None) -> Tensor:
        bias = None if self.bias is None else self.bias[start:stop]
        return functional.linear(x, self.weight[start:stop], bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class Stack:
    """A tower, layer by layer.

    Attributes:
        enter: ``enter(embedded, start)``: from embedded tokens or patches (b, l, width), the first
            of which stands at ``start``, to the input of the first layer.
        layers: all of them.
        leave: from what is read of the last layer's output, (b, r, width), to features (b, d).
        reads: what that is: the "first" position, the "last", "end" for that of end-of-text, or
            "all".
        causal: whether each position sees only those before it and itself.
    """

    enter: Callable[[Tensor, int], Tensor]
    layers: Sequence[Layer]
    leave: Callable[[Tensor], Tensor]
    reads: Literal["first", "last", "end", "all"]
    causal: bool = False

    def features(self, embedded: Tensor, pasts: Sequence[Past] = ()) -> Tensor:
        """Features (b, d) of embedded tokens or patches (b, l, width).

        Args:
            embedded: of all positions that count, end-of-text being the last; or of those that
                follow the ``pasts``.
            pasts: what ``prefix`` gave for the positions before.
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
        # the last position sees all of them, whatever the mask
        return self.leave(last(x, None, past, slice(length - 1, length)))

    @torch.no_grad()
    def prefix(self, embedded: Tensor) -> tuple[Past, ...]:
        """Keys and values of positions (1, p, width) that nothing after them can change."""
        x = self.enter(embedded, 0)
        mask = _causal(0, x.shape[1], x)
        pasts = []
        for layer in self.layers:
            pasts.append(layer.past(x))
            x = layer(x, mask)
        return tuple(pasts)


def _causal(before: int, length: int, like: Tensor) -> Tensor:
    """(length, before + length): minus infinity for what comes later."""
    mask = torch.full((length, before + length), -torch.inf, dtype=like.dtype, device=like.device)
    return mask.triu_(before + 1)


@dataclass(frozen=True, eq=False)
class TextTower:
    """A text tower that vectors may enter in the place of tokens.

    Attributes:
        embedding: ids (b, l) to (b, l, width).
        encode: tokens to features; calls ``embedding`` once.
        context: how many positions there are.
        words: ids to tokens as people read them, as far as they can be read.
        stack: the tower layer by layer, where its layers are of the usual kind.
    """

    embedding: nn.Module
    encode: Callable[[Tokens], Tensor]
    context: int
    words: Callable[[Sequence[int]], list[str]]
    stack: Stack | None = None

    def features(self, embedded: Tensor, tokens: Tokens) -> Tensor:
        """From embedded tokens (b, l, width), before positions are added, to features (b, d)."""
        with standing_in(self.embedding, embedded):
            return self.encode(tokens)


@dataclass(frozen=True, eq=False)
class ImageTower:
    """An image tower that vectors may enter in the place of patches.

    Attributes:
        embedding: what makes patches of pixels: a convolution or a linear layer.
        encode: prepared images to features; calls ``embedding`` once.
        blank: (1, …) one prepared image, whose pixels do not count.
        stack: the tower layer by layer, where its layers are of the usual kind.
    """

    embedding: nn.Module
    encode: Callable[[Tensor], Tensor]
    blank: Tensor
    stack: Stack | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many patches there are, and their width."""
        kind = self._kind
        if len(kind) == 4:
            return int(kind[2] * kind[3]), int(kind[1])
        return int(kind[1]), int(kind[2])

    def features(self, patches: Tensor) -> Tensor:
        """From patches (b, n, width), before positions are added, to features (b, d)."""
        grid = len(self._kind) == 4
        columns = patches.transpose(1, 2)
        vectors = columns.reshape(*columns.shape[:2], *self._kind[2:]) if grid else patches
        blank = self.blank.to(patches.device).expand(len(patches), *self.blank.shape[1:])
        with standing_in(self.embedding, vectors):
            return self.encode(blank)

    def patches(self, images: Tensor) -> Tensor:
        """Patches (b, n, width) of prepared images, as the embedding makes them."""
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
    """Whatever ``module`` is given inside the block, it gives ``vectors``."""

    def instead(_module: nn.Module, _inputs: Any, _output: Any) -> Tensor:
        return vectors

    handle = module.register_forward_hook(instead)
    try:
        yield
    finally:
        handle.remove()
