"""Optimisers of vectors: AdamW, as in the paper, and L-BFGS with a history per item.

Items of one batch are independent: the steps of one item never depend on the others in its
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

HISTORY = 10  # steps that L-BFGS stores
SHRINK = 0.3  # factor for a step that was too long
ENOUGH = 1e-4  # fraction of the predicted decrease that a step must achieve (Armijo)
FIRST = 0.5  # length of the first step, relative to the norm of the vectors


class Optimiser(Protocol):
    """A point per item: the next point to evaluate."""

    at: Tensor

    def observe(self, loss: Tensor, gradient: Tensor) -> None:
        """Move ``at`` (b, k, width), from losses (b,) and gradients at that point."""
        ...

    def keep(self, index: Tensor) -> None:
        """Continue with these items only."""
        ...


class AdamW:
    """Loshchilov & Hutter 2019, from torch: step sizes per number, losses per item."""

    def __init__(self, start: Tensor, lr: float, weight_decay: float) -> None:
        self.at = start.clone()
        self.lr, self.weight_decay = lr, weight_decay
        self.optimiser = self._adamw()

    def observe(self, loss: Tensor, gradient: Tensor) -> None:  # noqa: ARG002 - of the protocol
        """Take one step."""
        self.at.grad = gradient
        self.optimiser.step()

    def keep(self, index: Tensor) -> None:
        """Continue with these items only."""
        state = self.optimiser.state[self.at]
        self.at = self.at[index]
        self.optimiser = self._adamw()
        self.optimiser.state[self.at] = {
            name: value[index] if value.ndim else value for name, value in state.items()
        }

    def _adamw(self) -> torch.optim.AdamW:
        return torch.optim.AdamW([self.at], lr=self.lr, weight_decay=self.weight_decay)


class Lbfgs:
    """Nocedal & Wright 2006, algorithm 7.4, with a separate backtracking line search per item.

    Every evaluation is one forward and one backward pass over all items: an item whose step did
    not decrease the loss enough is evaluated again with a shorter step, while others continue.
    """

    def __init__(self, start: Tensor, lr: float, weight_decay: float) -> None:  # noqa: ARG002
        b = len(start)
        self.shape = start.shape[1:]
        self.at = start.clone()
        self.x = start.flatten(1).clone()  # the best point; the next lines hold its values
        self.loss = torch.full((b,), torch.inf, device=start.device)
        self.gradient = torch.zeros_like(self.x)
        self.direction = torch.zeros_like(self.x)
        self.slope = torch.zeros_like(self.loss)
        self.length = torch.ones_like(self.loss)
        self.steps = start.new_zeros(HISTORY, *self.x.shape)
        self.turns = torch.zeros_like(self.steps)
        self.scales = start.new_zeros(HISTORY, b)
        self.count = torch.zeros(b, dtype=torch.int64, device=start.device)

    def observe(self, loss: Tensor, gradient: Tensor) -> None:
        """Accept the point if it is good enough, and choose the next one."""
        new, gradient = self.at.flatten(1), gradient.flatten(1)
        promised = self.loss + ENOUGH * self.length * self.slope
        better = loss <= torch.where(self.loss.isfinite(), promised, torch.inf)
        self._remember(better & self.loss.isfinite(), new - self.x, gradient - self.gradient)
        rows = better[:, None]
        self.x = torch.where(rows, new, self.x)
        self.loss = torch.where(better, loss, self.loss)
        self.gradient = torch.where(rows, gradient, self.gradient)
        found = self._direction()
        self.direction = torch.where(rows, found, self.direction)
        self.slope = (self.gradient * self.direction).sum(1)
        self.length = torch.where(better, 1.0, self.length * SHRINK)
        self.at = (self.x + self.length[:, None] * self.direction).reshape(-1, *self.shape)

    def keep(self, index: Tensor) -> None:
        """Continue with these items only."""
        for name in ("at", "x", "loss", "gradient", "direction", "slope", "length", "count"):
            setattr(self, name, getattr(self, name)[index])
        for name in ("steps", "turns", "scales"):
            setattr(self, name, getattr(self, name)[:, index])

    def _remember(self, which: Tensor, step: Tensor, turn: Tensor) -> None:
        product = (step * turn).sum(1)
        which = which & (product > 1e-12 * (turn * turn).sum(1))
        items = torch.nonzero(which).flatten()
        slot = self.count[items] % HISTORY
        self.steps[slot, items] = step[items]
        self.turns[slot, items] = turn[items]
        self.scales[slot, items] = 1 / product[items]
        self.count[items] += 1

    def _direction(self) -> Tensor:
        """Minus the gradient times the inverse curvature, estimated from the history."""
        every = torch.arange(len(self.x), device=self.x.device)
        q = self.gradient.clone()
        parts = []
        for age in range(1, HISTORY + 1):  # empty slots hold zeros and have no effect
            slot = (self.count - age) % HISTORY
            step, turn = self.steps[slot, every], self.turns[slot, every]
            scale = torch.where(self.count >= age, self.scales[slot, every], 0.0)
            part = scale * (step * q).sum(1)
            q = q - part[:, None] * turn
            parts.append((step, turn, scale, part))
        step, turn = parts[0][:2]
        known = (step * turn).sum(1) / (turn * turn).sum(1).clamp(min=1e-30)
        lengths = self.gradient.norm(dim=1).clamp(min=1e-30)
        first = FIRST * self.x.norm(dim=1).clamp(min=0.1) / lengths
        q = q * torch.where(self.count > 0, known, first)[:, None]
        for step, turn, scale, part in reversed(parts):
            q = q + (part - scale * (turn * q).sum(1))[:, None] * step
        return -q


OPTIMISERS: Mapping[str, Callable[[Tensor, float, float], Optimiser]] = {
    "adamw": AdamW,
    "lbfgs": Lbfgs,
}
