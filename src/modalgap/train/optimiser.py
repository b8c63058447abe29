"""AdamW, and the learning rate and temperature of each step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from modalgap.train.config import Optimiser, Temperature


def make(model: nn.Module, config: Optimiser) -> torch.optim.AdamW:
    """AdamW with weight decay of matrices only: not of gains, biases and the temperature."""
    trained = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    plain = [each for name, each in trained if each.ndim < 2 or name.endswith("logit_scale")]
    decayed = [
        each for name, each in trained if each.ndim >= 2 and not name.endswith("logit_scale")
    ]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.eps,
    )


def rise(config: Optimiser, steps: int) -> int:
    """Number of warm-up steps."""
    return round(config.warmup * steps) if config.warmup < 1 else int(config.warmup)


def rate(config: Optimiser, step: int, steps: int) -> float:
    """The learning rate of a step: a linear rise, then a half cosine to 0, or constant."""
    warmup = rise(config, steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    progress = (step - warmup) / max(1, steps - warmup)
    return config.lr * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def set_temperature(logit_scale: Tensor, config: Temperature, step: int, steps: int) -> None:
    """Set log 1/τ before a step, as ``config`` requires; also called after the last step."""
    with torch.no_grad():
        if config.mode == "scheduled":
            first, last = config.initial, config.final
            assert first is not None  # noqa: S101 - checked with the configuration
            assert last is not None  # noqa: S101 - checked with the configuration
            progress = min(step / max(1, steps - 1), 1.0)
            logit_scale.fill_(-(1 - progress) * math.log(first) - progress * math.log(last))
        elif config.mode == "learnable":
            low = None if config.highest is None else -math.log(config.highest)
            logit_scale.clamp_(min=low, max=-math.log(config.lowest))


def start_temperature(logit_scale: Tensor, config: Temperature) -> None:
    """Set the temperature before the first step."""
    logit_scale.requires_grad_(config.mode == "learnable")
    if config.initial is not None:
        with torch.no_grad():
            logit_scale.fill_(-math.log(config.initial))
