"""Random networks, and their effect on a cosine in the limit of infinite width.

A layer is h ← φ(W h + b) with W, b ~ N(0, 1/d). In the limit, the d entries of W h + b are
independent Gaussians, so a layer maps the squared norm s² and the cosine ρ of two inputs to

    r = (s²ρ + b)/(s² + b),  s²' = d E[φ(u)²],  ρ' = E[φ(u) φ(v)] / E[φ(u)²],

where u and v have variance (s² + b)/d and correlation r, and b is 1 with a bias and 0 without.
Source: Cho & Saul 2009 (ReLU); Poole et al. 2016 (any activation).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modalgap.errors import Diverged

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "linear", "maxout")
BLOCKS = ("residual", "attention", "transformer")
NORMS = ("none", "before", "after")
SLOPE = 0.01  # of leaky_relu below 0
NODES = 128  # of Gauss-Hermite quadrature, for each of the two variables
# φ(z) = A z + C |z|: A² and C² of the activations that are linear on both sides of 0. Maxout is
# the maximum of two independent z and z': (z + z')/2 + |z − z'|/2.
LINEAR_PARTS = {
    "relu": (0.25, 0.25),
    "leaky_relu": (((1 + SLOPE) / 2) ** 2, ((1 - SLOPE) / 2) ** 2),
    "linear": (1.0, 0.0),
    "maxout": (0.5, 0.5),
}
SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
}


class Layers:
    """The layers of one random network, drawn one after another.

    Args:
        name: of ``ACTIVATIONS`` or ``BLOCKS``.
        dim: d, the width.
        bias: whether linear maps have a bias.
        norm: layer normalisation "before" or "after" the activation, or "none"; blocks have
            their own.
        tokens: rows of one input, which attention sees together.
        random: the generator of the weights.
    """

    def __init__(
        self, name: str, dim: int, *, bias: bool, norm: str, tokens: int, random: torch.Generator
    ) -> None:
        self.name, self.dim, self.bias, self.norm = name, dim, bias, norm
        self.tokens, self.random = tokens, random

    def next(self, rows: Tensor) -> Tensor:
        """Rows (n, d) after one more random layer."""
        if self.name in BLOCKS:
            if self.name != "residual":
                rows = rows + self._attention(self._normed(rows))
            if self.name != "attention":
                hidden = torch.relu_(self._linear(self._normed(rows)))
                rows = rows + self._linear(hidden)
            return rows
        rows = self._activated(rows)
        return self._normed(rows) if self.norm == "after" else rows

    def _activated(self, rows: Tensor) -> Tensor:
        sides = [self._linear(rows) for _ in range(2 if self.name == "maxout" else 1)]
        if self.norm == "before":
            sides = [self._normed(side) for side in sides]
        if self.name == "maxout":
            return torch.maximum(*sides)
        (row,) = sides
        if self.name == "linear":
            return row
        if self.name == "leaky_relu":
            return functional.leaky_relu(row, SLOPE)
        return torch.relu_(row) if self.name == "relu" else SMOOTH[self.name](row)

    def _attention(self, rows: Tensor) -> Tensor:
        """One head over the tokens of each input."""
        query, key, value = (self._linear(rows).view(-1, self.tokens, self.dim) for _ in range(3))
        weights = (query @ key.transpose(1, 2) / self.dim**0.5).softmax(-1)
        return self._linear((weights @ value).flatten(0, 1))

    def _linear(self, rows: Tensor) -> Tensor:
        weights = torch.randn(self.dim, self.dim, generator=self.random, dtype=rows.dtype)
        bias = torch.randn(self.dim, generator=self.random, dtype=rows.dtype)  # the same weights
        scale = self.dim**-0.5  # with and without a bias
        return functional.linear(rows, weights.mul_(scale), bias * scale if self.bias else None)

    def _normed(self, rows: Tensor) -> Tensor:
        return functional.layer_norm(rows, (self.dim,))


def directed(shortest: float, longest: float, layer: int, dim: int) -> None:
    """Refuse features without a direction.

    Args:
        shortest: norm of the shortest row after the layer.
        longest: norm of the longest row.
        layer: the number of the layer; 0 for the inputs.
        dim: width, for the message.

    Raises:
        Diverged: a row is 0 or infinite.
    """
    where = f"after layer {layer} of {dim} units an input"
    if not longest < math.inf:
        raise Diverged(f"layers must be smaller; {where} has infinite or NaN features")
    if not shortest > 0:
        raise Diverged(
            f"dim must be larger, or layers smaller; {where} has features of 0, and no direction"
        )


def closed_form(
    name: str, layers: int, dim: int, *, bias: bool, norm: str = "none"
) -> list[float] | None:
    """The cosine of two different inputs of N(0, I) after each layer, for infinite width.

    Args:
        name: of ``ACTIVATIONS`` or ``BLOCKS``.
        layers: number of layers.
        dim: d; the larger it is, the smaller the bias relative to the inputs.
        bias: whether layers have a bias.
        norm: as for ``Layers``.

    Returns:
        One cosine per layer; None for attention, which has no such recursion.
    """
    if name in BLOCKS and name != "residual":
        return None
    found, square, both, own = [], 1.0, 0.0, float(bias) / dim  # square: s²/d; both: s²ρ/d
    for _ in range(layers):
        if name == "residual":
            # layer normalisation makes s²/d = 1; the second linear map adds another bias
            first = _moments("relu", 1 + own, both / square + own)
            square, both = square + first[0] + own, both + first[1] + own
        else:
            square, both = square + own, both + own
            if norm == "before":
                square, both = 1.0, both / square
            square, both, mean = _moments(name, square, both)
            if norm == "after":
                square, both = 1.0, (both - mean**2) / (square - mean**2)
        found.append(both / square)
    return found


def _moments(name: str, square: float, both: float) -> tuple[float, float, float]:
    """E[φ(u)²], E[φ(u) φ(v)] and E[φ(u)] for E[u²] = E[v²] = ``square``, E[u v] = ``both``."""
    r = min(1.0, max(-1.0, both / square))
    if name in LINEAR_PARTS:
        line, bend = LINEAR_PARTS[name]
        # E|u||v| = 2 square (√(1−r²) + r arcsin r)/π
        bent = 2 * square * (math.sqrt(1 - r * r) + r * math.asin(r)) / math.pi
        return (
            (line + bend) * square,
            line * both + bend * bent,
            math.sqrt(2 * bend * square / math.pi),
        )
    x, weights = np.polynomial.hermite_e.hermegauss(NODES)
    chances = torch.from_numpy(weights / weights.sum())
    first = torch.from_numpy(x) * square**0.5
    second = r * first[:, None] + math.sqrt(1 - r * r) * first
    phi = SMOOTH[name]
    at = phi(first)
    return (
        float(chances @ at**2),
        float((chances * at) @ phi(second) @ chances),
        float(chances @ at),
    )
