"""Checkpoints as their authors wrote them, made of other numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from modalgap.encode.quiet import quiet

ENTRIES = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}


class Part(nn.Module):
    """A module that holds tensors by their names, and computes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def openai_state(model: Any) -> dict[str, Tensor]:
    """The weights of a CLIP as OpenAI stored them: most in half precision, and three entries."""
    with quiet():
        open_clip.model.convert_weights_to_fp16(model)
    state = {name: each.detach() for name, each in model.state_dict().items()}
    return state | {name: torch.tensor(number) for name, number in ENTRIES.items()}


def archive(state: Mapping[str, Tensor], path: Path) -> Path:
    """A TorchScript archive of a module with these weights."""
    root = Part()
    for name, tensor in state.items():
        *parents, last = name.split(".")
        owner: nn.Module = root
        for each in parents:
            if each not in owner._modules:
                owner.add_module(each, Part())
            owner = owner.get_submodule(each)
        if tensor.is_floating_point():
            owner.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
        else:
            owner.register_buffer(last, tensor)
    with quiet():
        torch.jit.save(torch.jit.trace(root.eval(), torch.ones(1), check_trace=False), path)
    return path


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], **options: Any) -> Path:
    """The archive with other members; those for which ``change`` returns None are left out."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, part in parts.items():
            changed = change(name.partition("/")[2], part)
            if changed is not None:
                new.writestr(name, changed)
    return path


def training(model: nn.Module, path: Path) -> Path:
    """A checkpoint as open_clip's training writes it after an epoch on several machines.

    The tensors of the optimiser have the true shapes; each is one number on disk.
    """
    state = model.state_dict()
    moments = {
        at: {key: torch.zeros(()).expand(each.shape) for key in ("exp_avg", "exp_avg_sq")}
        for at, each in enumerate(state.values())
    }
    optimizer = {"state": moments, "param_groups": [{"lr": 5e-4, "params": [*range(len(state))]}]}
    checkpoint = {
        "epoch": 32,
        "name": "2026_01_01-00_00_00-model_ViT-B-32-lr_0.0005-b_256-j_8-p_amp",
        "state_dict": {f"module.{name}": each for name, each in state.items()},
        "optimizer": optimizer,
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 5},
    }
    torch.save(checkpoint, path)
    return path


def random_state(shapes: Mapping[str, torch.Size], dtype: torch.dtype) -> dict[str, Tensor]:
    """Random numbers of these shapes, in about the range of trained weights."""
    random = torch.Generator().manual_seed(0)
    block = torch.rand(5_000_011, generator=random) * 2 - 1  # repeated: 400 million would take long
    result, start = {}, 0
    for name, shape in shapes.items():
        count, start = shape.numel(), (start + 7_919) % 4_000_000
        times = (start + count) // len(block) + 1
        values = (block.repeat(times) if times > 1 else block)[start : start + count]
        if len(shape) == 1 and name.endswith("weight"):  # of a norm
            values = 10 + values
        result[name] = (values * (0.1 if len(shape) < 2 else 0.06)).reshape(shape).to(dtype)
    return result
