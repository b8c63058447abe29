"""The losses by their definitions, in loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from modalgap.losses import LOSSES, Features

Rows = list[list[float]]
every_loss = pytest.mark.parametrize("name", LOSSES)


def unit(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return functional.normalize(rows, dim=-1).to(dtype)


def made(
    n: int = 6, d: int = 4, scale: float = 3.0, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Features:
    """Texts that tell something of their images, so that some rows are right and some wrong."""
    image = unit(n, d, seed=seed)
    text = functional.normalize(image + 0.9 * unit(n, d, seed=seed + 1), dim=1)
    views = [functional.normalize(image + 0.5 * unit(n, d, seed=seed + i), dim=1) for i in (2, 3)]
    return Features(
        image=image.to(dtype),
        text=text.to(dtype),
        scale=torch.tensor(scale, dtype=dtype),
        bias=torch.tensor(-1.3, dtype=dtype),
        views=(views[0].to(dtype), views[1].to(dtype)),
    )


def leaves(features: Features) -> list[Tensor]:
    return [each.detach().clone().requires_grad_() for each in features.tensors]


def of_leaves(image: Tensor, text: Tensor, s: Tensor, b: Tensor, v: Tensor, w: Tensor) -> Features:
    return Features(image=image, text=text, scale=s, bias=b, views=(v, w))


def dot(u: list[float], v: list[float]) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True))


def apart(u: list[float], v: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(u, v, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def infonce(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        match = math.exp(s * dot(x[i], y[i]))
        total -= math.log(match / sum(math.exp(s * dot(x[i], each)) for each in y))
        total -= math.log(match / sum(math.exp(s * dot(each, y[i])) for each in x))
    return total / (2 * len(x))


def siglip(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            z = 1 if i == j else -1
            total -= math.log(1 / (1 + math.exp(-z * (s * dot(x[i], y[j]) + b))))
    return total / len(x)


def dual(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for own, other in ((x, y), (y, x)):
        for i in range(len(x)):
            below = sum(math.exp(s * dot(own[i], each)) for each in other)
            for j in range(len(x)):
                if j != i:
                    below += math.exp(s * dot(own[i], own[j]))
            total -= math.log(math.exp(s * dot(x[i], y[i])) / below)
    return total / (2 * len(x))


def correct_only(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for own, other in ((x, y), (y, x)):
        kept = []
        for i in range(len(x)):
            cosines = [dot(own[i], each) for each in other]
            if cosines[i] == max(cosines):
                below = sum(math.exp(s * each) for each in cosines)
                kept.append(-math.log(math.exp(s * cosines[i]) / below))
        total += mean(kept) if kept else 0.0
    return total / 2


def alignment(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    return mean([apart(u, v) for u, v in zip(x, y, strict=True)])


def log_mean(x: Rows, y: Rows, t: float) -> float:
    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return math.log(mean([math.exp(-t * apart(x[i], y[j])) for i, j in pairs]))


def uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    return (log_mean(x, x, t) + log_mean(y, y, t)) / 2


def cross_uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    return log_mean(x, y, t)


def centroid_uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    middles = []
    for u, v in zip(x, y, strict=True):
        middle = [(a + b) / 2 for a, b in zip(u, v, strict=True)]
        size = math.sqrt(dot(middle, middle))
        middles.append([each / size for each in middle])
    return log_mean(middles, middles, t)


def intra_simclr(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], temperature: float = 0.1
) -> float:
    n = len(views[0])
    total = 0.0
    for a in range(2):
        for i in range(n):
            own, other = views[a][i], views[1 - a][i]
            below = 0.0
            for c in range(2):
                for j in range(n):
                    if (c, j) != (a, i):
                        below += math.exp(dot(own, views[c][j]) / temperature)
            total -= math.log(math.exp(dot(own, other) / temperature) / below)
    return total / (2 * n)


def cyclip(
    x: Rows,
    y: Rows,
    s: float,
    b: float,
    views: tuple[Rows, Rows],
    in_modal: float = 0.25,
    cross_modal: float = 0.25,
) -> float:
    n = len(x)
    within = between = 0.0
    for i in range(n):
        for j in range(n):
            within += (dot(x[i], x[j]) - dot(y[i], y[j])) ** 2
            between += (dot(x[i], y[j]) - dot(x[j], y[i])) ** 2
    return in_modal * within / n**2 * n + cross_modal * between / n**2 * n


def intra_separation(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        match = math.exp(s * dot(x[i], y[i]))
        below = match
        for j in range(len(x)):
            if j != i:
                below += math.exp(s * dot(x[i], x[j]) * (1 - dot(y[i], y[j])))
        total -= math.log(match / below)
    return total / len(x)


def gram_of_many(every: list[Rows], s: float, anchor: int) -> float:
    """GRAM's loss of any number of modalities; determinants by numpy."""
    n = len(every[0])

    def volume(i: int, j: int) -> float:
        rows = [each[i if place == anchor else j] for place, each in enumerate(every)]
        return math.sqrt(np.linalg.det([[dot(u, v) for v in rows] for u in rows]))

    total = 0.0
    for i in range(n):
        match = math.exp(-s * volume(i, i))
        total -= math.log(match / sum(math.exp(-s * volume(i, j)) for j in range(n)))
        total -= math.log(match / sum(math.exp(-s * volume(j, i)) for j in range(n)))
    return total / (2 * n)


def gram(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], anchor: int = 1) -> float:
    return gram_of_many([x, y], s, anchor)


DEFINITIONS: dict[str, Callable[..., float]] = {
    each.__name__: each
    for each in (
        infonce,
        siglip,
        dual,
        correct_only,
        alignment,
        uniformity,
        cross_uniformity,
        centroid_uniformity,
        intra_simclr,
        cyclip,
        intra_separation,
        gram,
    )
}
