"""SLIP as its paper and repository describe it, and its checkpoints."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from torch import Tensor, nn


class Block(nn.Module):
    """One layer of CLIP's text tower, written out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(l, b, width) to the same."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        y = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](y * torch.sigmoid(1.702 * y))


class Reference(nn.Module):
    """The released model as its paper and repository describe it, without open_clip."""

    def __init__(
        self, sizes: Mapping[str, int], text: Mapping[str, int], mlp: Sequence[int]
    ) -> None:
        """``mlp``: widths of SLIP's second head; empty for its CLIP."""
        super().__init__()
        width, layers, heads = text["width"], text["layers"], text["heads"]
        self.visual = timm.create_model("vit_base_patch16_224", num_classes=0, **sizes)
        self.transformer = nn.ModuleDict(
            {"resblocks": nn.ModuleList(Block(width, heads) for _ in range(layers))}
        )
        self.token_embedding = nn.Embedding(49408, width)
        self.positional_embedding = nn.Parameter(torch.randn(77, width))
        self.ln_final = nn.LayerNorm(width)
        self.image_projection = nn.Parameter(torch.randn(sizes["embed_dim"], 512) / 8)
        self.text_projection = nn.Parameter(torch.randn(width, 512) / 6)
        self.logit_scale = nn.Parameter(torch.tensor(3.0))
        if mlp:
            self.image_mlp = simclr(sizes["embed_dim"], *mlp)

    def encode_image(self, pixels: Tensor) -> Tensor:
        return self.visual(pixels) @ self.image_projection

    def encode_text(self, ids: Tensor) -> Tensor:
        mask = torch.full((77, 77), -torch.inf).triu(1)
        x = (self.token_embedding(ids) + self.positional_embedding).transpose(0, 1)
        for block in self.transformer["resblocks"]:
            x = block(x, mask)
        x = self.ln_final(x).transpose(0, 1)
        return x[torch.arange(len(x)), ids.argmax(1)] @ self.text_projection


def simclr(width: int, hidden: int, out: int) -> nn.Module:
    layers = {"layer1": nn.Linear(width, hidden), "layer2": nn.Linear(hidden, hidden)}
    norms = {"bn1": nn.BatchNorm1d(hidden), "bn2": nn.BatchNorm1d(hidden)}
    return nn.ModuleDict({**layers, **norms, "layer3": nn.Linear(hidden, out)})


def checkpoint(model: nn.Module, path: Path, **more: Any) -> Path:
    """A checkpoint as the training script of SLIP writes it."""
    args = argparse.Namespace(model="SLIP_VITB16", lr=3e-3, betas=(0.9, 0.98), wandb=False, gpu=0)
    args.output_dir = args.job_dir = PosixPath("/checkpoint/somebody/experiments/slip")
    parameter = nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    optimizer = torch.optim.AdamW([parameter])
    optimizer.step()
    optimizer.param_groups[0]["lr"] = np.linspace(0, 1, 3)[1]  # out of the schedule, an array
    stored = {
        "epoch": 100,
        "state_dict": {f"module.{name}": each for name, each in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 5},
        "best_acc1": 45.0,
        "args": args,
        **more,
    }
    torch.save(stored, path)
    return path


def release(model: nn.Module, path: Path, **more: Any) -> Path:
    """The same, written by the libraries of its time."""
    checkpoint(model, path, **more)
    older = {b"cnumpy._core.": b"cnumpy.core.", b"cpathlib._local\n": b"cpathlib\n"}
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            if name.endswith("data.pkl"):
                for now, then in older.items():
                    part = part.replace(now, then)
                assert b"numpy.core.multiarray\nscalar" in part
                assert b"pathlib\nPosixPath" in part
            archive.writestr(name, part)
    return path


def ids_of(texts: list[str]) -> Tensor:
    """As SLIP cuts: whatever is beyond the context is lost, end-of-text too."""
    found = torch.zeros(len(texts), 77, dtype=torch.int64)
    for row, text in enumerate(texts):
        ids = [49406, *open_clip.SimpleTokenizer().encode(text), 49407][:77]
        found[row, : len(ids)] = torch.tensor(ids)
    return found
