"""Gradients of the losses in two gloo processes under DDP, and in one, as JSON files.

``python gloo_losses.py FOLDER``: the processes meet and write in FOLDER.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from modalgap.losses import LOSSES, Features, Objective

WORLD, PAIRS = 2, 8


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Linear(12, 6, dtype=torch.float64)
        self.text = nn.Linear(9, 6, dtype=torch.float64)
        self.log_scale = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor(-0.7, dtype=torch.float64))

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, ...]:
        """Three stacks of images, (3, n, 12): as they are and two views; texts (n, 9)."""
        image = functional.normalize(self.image(images), dim=2)
        text = functional.normalize(self.text(texts), dim=1)
        return image[0], image[1], image[2], text, self.log_scale.exp(), self.bias + 0.0


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    pixels = torch.randn(PAIRS, 12, dtype=torch.float64)
    views = pixels + 0.3 * torch.randn(3, PAIRS, 12, dtype=torch.float64)
    words = pixels[:, :9] + 0.8 * torch.randn(PAIRS, 9, dtype=torch.float64)
    return views, words


def whole(rows: Tensor) -> Tensor:
    if not torch.distributed.is_initialized():
        return rows
    return torch.cat(torch.distributed.nn.functional.all_gather(rows))


def ours(name: str) -> Callable[..., Tensor]:
    objective = Objective.of({name: 1.0})

    def loss(image: Tensor, one: Tensor, two: Tensor, text: Tensor, s: Tensor, b: Tensor) -> Tensor:
        features = Features(
            image=whole(image), text=whole(text), scale=s, bias=b, views=(whole(one), whole(two))
        )
        total: Tensor = objective(features)[0]
        return total

    return loss


@functools.cache
def open_clip_loss() -> ModuleType:
    """``open_clip.loss`` by itself: the package takes many seconds to import."""
    package = importlib.util.find_spec("open_clip")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(package.submodule_search_locations[0], "loss.py")
    spec = importlib.util.spec_from_file_location("open_clip_loss", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(kind: str, rank: int, world: int, **options: Any) -> Callable[..., Tensor]:
    made = getattr(open_clip_loss(), kind)(rank=rank, world_size=world, **options)

    def loss(image: Tensor, _: Tensor, __: Tensor, text: Tensor, s: Tensor, b: Tensor) -> Tensor:
        found: Tensor = made(image, text, s, *([b] if kind == "SigLipLoss" else []))
        return found + 0.0 * b

    return loss


def cases(rank: int, world: int) -> dict[str, Callable[..., Tensor]]:
    """Name, a colon, and whose it is: cases of one name must agree."""
    made = {f"{name}:ours": ours(name) for name in LOSSES}
    for local in (False, True):
        made[f"infonce:open_clip local {local}"] = theirs(
            "ClipLoss", rank, world, local_loss=local, gather_with_grad=True
        )
    for way in ("bidir", "shift", "reduce", "gather"):
        made[f"siglip:open_clip {way}"] = theirs("SigLipLoss", rank, world, dist_impl=way)
    return made


def measured(rank: int, world: int) -> dict[str, dict[str, Any]]:
    """Loss, mean over processes, and gradient of each weight."""
    found = {}
    for name, loss in cases(rank, world).items():
        towers: nn.Module = Towers()
        images, texts = inputs()
        if world > 1:
            towers = DistributedDataParallel(towers)
            mine = slice(rank * PAIRS // world, (rank + 1) * PAIRS // world)
            images, texts = images[:, mine], texts[mine]
        value = loss(*towers(images, texts))
        value.backward()
        mean = value.detach().clone()
        if world > 1:
            torch.distributed.all_reduce(mean)
            mean /= world
        gradients = {
            key.removeprefix("module."): None if each.grad is None else each.grad.flatten().tolist()
            for key, each in towers.named_parameters()
        }
        found[name] = {"value": float(mean), "gradients": gradients}
    return found


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD
    )
    Path(folder, f"{rank}.json").write_text(json.dumps(measured(rank, WORLD)))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    where = sys.argv[1]
    torch.set_num_threads(1)
    torch.multiprocessing.spawn(process, (where,), WORLD)
    Path(where, "alone.json").write_text(json.dumps(measured(0, 1)))
