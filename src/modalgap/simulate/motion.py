"""Motion of matched points under a contrastive loss: starts, losses, gradient flow and Adam.

Private to the simulations; float64 on one thread, because the matrices are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from modalgap.errors import Diverged
from modalgap.linalg import qr

STARTS, SPACES = ("clusters", "isotropic"), ("free", "sphere")
LOSSES, OPTIMISERS = ("infonce", "sigmoid"), ("flow", "descent", "adam")
FIRST = 1e-3  # first time step of the flow
LARGEST = 300.0  # |log τ| beyond which the loss is not computed


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What moves the points.

    Attributes:
        loss: "infonce" or "sigmoid".
        space: "free" scores pairs by −‖x − y‖², "sphere" by the cosine of unit rows.
        optimiser: "flow", "descent" or "adam".
        rate: of log(1/τ) and the bias, relative to the points; 0 if they are frozen.
        learning_rate: of descent and Adam.
        tolerance: largest error of a number per step of the flow.
        until: time at which the flow stops.
    """

    loss: str
    space: str
    optimiser: str
    rate: float
    learning_rate: float
    tolerance: float
    until: float


@dataclass(frozen=True, kw_only=True)
class State:
    """Points and the parameters of the loss.

    Attributes:
        step: number of the step.
        time: time of the flow; the step for other optimisers.
        points: (2, n, d) images and texts.
        log_scale: () logarithm of 1/τ.
        bias: () of the sigmoid loss.
        loss: value of the loss.
        gradient: (2, n, d) of the loss by the points.
    """

    step: int
    time: float
    points: Tensor
    log_scale: Tensor
    bias: Tensor
    loss: float
    gradient: Tensor

    @property
    def temperature(self) -> float:
        """τ."""
        return float((-self.log_scale).exp())


def started(start: str, space: str, sizes: tuple[int, int], distance: float, spread: float,
            directions: int, random: torch.Generator) -> Tensor:  # fmt: skip
    """Points (2, n, d) at the start, float64.

    Args:
        start: "clusters": two clusters whose centres are ``distance`` apart, with points at about
            ``spread`` from them; "isotropic": points at about 1 from one centre, in all directions.
        space: "free" or "sphere".
        sizes: n and d.
        distance: between the centres.
        spread: root mean square distance of points to their centre, in clusters.
        directions: in which points vary, random for each modality.
        random: the generator.
    """
    n, dim = sizes
    points = torch.randn(2, n, directions, generator=random, dtype=torch.float64) / directions**0.5
    if directions < dim:
        bases = torch.randn(2, dim, directions, generator=random, dtype=torch.float64)
        points = torch.stack([own @ qr(base)[0].T for own, base in zip(points, bases, strict=True)])
    if start == "clusters":
        axes = torch.randn(dim, 2, generator=random, dtype=torch.float64)
        one, other = qr(axes)[0].T
        if space == "sphere":  # both centres at half the angle on each side of ``one``
            half = distance / 2
            centres = torch.stack([one * (1 - half**2) ** 0.5 + each * other * half
                                   for each in (1, -1)])  # fmt: skip
        else:
            centres = torch.stack([one, -one]) * distance / 2
        points = centres[:, None] + spread * points
    return normalize(points, dim=-1) if space == "sphere" else points


def similarities(points: Tensor, space: str) -> Tensor:
    """(n, n) scores of every image with every text: −‖x − y‖², or cosines on the sphere."""
    image, text = points
    if space == "sphere":
        cosines: Tensor = normalize(image, dim=-1) @ normalize(text, dim=-1).T
        return cosines
    squares = (image**2).sum(1)[:, None] + (text**2).sum(1)
    found: Tensor = 2 * image @ text.T - squares
    return found


def loss_of(scores: Tensor, scale: Tensor, bias: Tensor, loss: str) -> Tensor:
    """Symmetric InfoNCE, or the sigmoid loss, of scores (n, n)."""
    logits = scores * scale
    if loss == "sigmoid":
        signs = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
        each: Tensor = logsigmoid(signs * (logits + bias))
        return -each.sum() / len(logits)
    own = logits.diagonal()
    both: Tensor = logits.logsumexp(0) + logits.logsumexp(1)
    return both.mean() / 2 - own.mean()


def softmaxes(points: Tensor, scale: float, space: str) -> tuple[Tensor, Tensor]:
    """Q of images over texts (n, n), rows sum to 1; and Q of texts over images, columns do."""
    logits = similarities(points, space) * scale
    return logits.softmax(1), logits.softmax(0)


def moved(
    points: Tensor, temperature: float, bias: float, rules: Rules, steps: int
) -> Iterator[State]:
    """Yield the state before the first step and after each step; the flow stops at ``until``.

    Raises:
        Diverged: the loss or a gradient is not finite; the message has the step.
    """
    numbers = [points, torch.tensor(-math.log(temperature), dtype=torch.float64),
               torch.tensor(bias, dtype=torch.float64)]  # fmt: skip
    advance = _Flow(rules) if rules.optimiser == "flow" else _Steps(rules, numbers)
    time = 0.0
    value, slopes = _slopes(numbers, rules, 0)
    for step in range(steps + 1):
        yield State(step=step, time=time, points=numbers[0], log_scale=numbers[1],
                    bias=numbers[2], loss=value, gradient=slopes[0])  # fmt: skip
        if time >= rules.until:
            return
        if step < steps:
            numbers, value, slopes, passed = advance(numbers, slopes, step + 1)
            time += passed


def _slopes(numbers: list[Tensor], rules: Rules, step: int) -> tuple[float, list[Tensor]]:
    """The loss, and its gradient by points, logarithm of the scale, and bias."""
    own = [each.detach().requires_grad_() for each in numbers]
    value = loss_of(similarities(own[0], rules.space), own[1].exp(), own[2], rules.loss)
    found = torch.autograd.grad(value, own, allow_unused=True)
    value = value.detach()
    slopes = [torch.zeros_like(a) if g is None else g for a, g in zip(own, found, strict=True)]
    slopes[1:] = [rules.rate * each for each in slopes[1:]]
    within = float(numbers[1].abs()) < LARGEST
    if not within or not all(bool(each.isfinite().all()) for each in (value, *slopes)):
        advice = "tolerance" if rules.optimiser == "flow" else "learning_rate"
        raise Diverged(
            f"the loss is {float(value):g} at step {step}, and it, its gradient or τ is not finite;"
            f" use a smaller {advice} or a higher temperature"
        )
    return float(value), slopes


def _kept(numbers: list[Tensor], rules: Rules) -> list[Tensor]:
    """The numbers with points back on the sphere."""
    if rules.space == "sphere":
        return [normalize(numbers[0], dim=-1), *numbers[1:]]
    return numbers


Advanced = tuple[list[Tensor], float, list[Tensor], float]


class _Flow:
    """Gradient flow by Heun's method; the step size follows the error."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.size = rules, FIRST

    def __call__(self, numbers: list[Tensor], slopes: list[Tensor], step: int) -> Advanced:
        """One accepted step."""
        while True:
            size = min(self.size, self.rules.until)
            trial = [a - size * g for a, g in zip(numbers, slopes, strict=True)]
            _, ahead = _slopes(trial, self.rules, step)
            error = max(
                float((a - b).abs().max()) for a, b in zip(slopes, ahead, strict=True)
            ) * size / 2  # fmt: skip
            ratio = self.rules.tolerance / max(error, 1e-300)
            self.size = size * min(4.0, max(0.1, 0.9 * ratio**0.5))
            if error <= self.rules.tolerance:
                break
        mean = [a - size * (g + h) / 2 for a, g, h in zip(numbers, slopes, ahead, strict=True)]
        numbers = _kept(mean, self.rules)
        return numbers, *_slopes(numbers, self.rules, step), size


class _Steps:
    """Gradient descent with a fixed step, or Adam."""

    def __init__(self, rules: Rules, numbers: list[Tensor]) -> None:
        self.rules = rules
        self.adam = rules.optimiser == "adam"
        self.first = [torch.zeros_like(each) for each in numbers]
        self.second = [torch.zeros_like(each) for each in numbers]

    def __call__(self, numbers: list[Tensor], slopes: list[Tensor], step: int) -> Advanced:
        """One step."""
        if self.adam:
            shares = (1.0, self.rules.rate, self.rules.rate)  # Adam ignores the size of a gradient
            slopes = [
                share * self._scaled(i, slope, step)
                for i, (slope, share) in enumerate(zip(slopes, shares, strict=True))
            ]
        rate = self.rules.learning_rate
        numbers = _kept([a - rate * g for a, g in zip(numbers, slopes, strict=True)], self.rules)
        return numbers, *_slopes(numbers, self.rules, step), 1.0

    def _scaled(self, i: int, slope: Tensor, step: int) -> Tensor:
        """Adam's direction with β = (0.9, 0.999) and ε = 1e-8."""
        self.first[i] = 0.9 * self.first[i] + 0.1 * slope
        self.second[i] = 0.999 * self.second[i] + 0.001 * slope**2
        root = (self.second[i] / (1 - 0.999**step)).sqrt()
        return self.first[i] / (1 - 0.9**step) / (root + 1e-8)
