"""Checkpoints: the complete state of a run, in one safetensors file that is replaced atomically.

Nothing is pickled. Random numbers depend on the step only, so no random state is stored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from modalgap.atomic import replacing
from modalgap.errors import FileError, OutputError
from modalgap.tensor_files import sort_metadata

FORMAT = "modalgap training checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read.

    Attributes:
        path: the file.
        step: number of completed steps.
        tensors: weights, and the optimiser's two moments of each.
        facts: other stored values.
    """

    path: Path
    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def path_of(folder: Path, step: int) -> Path:
    """The file of a step."""
    return folder / f"step-{step:09d}.safetensors"


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a checkpoint, and remove all but the newest ``keep``.

    Raises:
        OutputError: the file cannot be written; earlier checkpoints remain.
    """
    tensors = {f"model.{key}": each.detach().cpu() for key, each in model.state_dict().items()}
    names = {id(each): name for name, each in model.named_parameters()}
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            tensors[f"optimiser.{key}.{names[id(parameter)]}"] = value.detach().cpu().clone()
    tensors = {key: each.contiguous().clone() for key, each in tensors.items()}
    metadata = {
        "format": FORMAT,
        "step": str(step),
        "facts": json.dumps(facts),
        "hash": _hash(tensors),
    }
    path = path_of(folder, step)
    try:
        with replacing(path, overwrite=True) as file:
            save_file(tensors, file.name, metadata)
            with Path(file.name).open("r+b") as written:  # the library made a new file
                sort_metadata(written)
                os.fsync(written.fileno())
    except SafetensorError as error:  # a full disk
        raise OutputError(f"{path}: cannot be written ({error})") from error
    files = sorted(folder.glob("step-*.safetensors"))
    here = files.index(path)
    for other in (*files[: max(0, here + 1 - keep)], *files[here + 1 :]):  # later: damaged ones
        with suppress(OSError):
            other.unlink()
    return path


def steps_done(folder: Path) -> int:
    """The step of the newest checkpoint, by its name."""
    found = (path.stem.removeprefix("step-") for path in folder.glob("step-*.safetensors"))
    return max((int(step) for step in found if step.isdecimal()), default=0)


def newest(folder: Path, mark: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest undamaged checkpoint of this run, and the errors of newer ones.

    Args:
        folder: the folder of checkpoints.
        mark: the value of "run" in the facts of this run's checkpoints.
    """
    wrong: list[str] = []
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            found = _read(path)
            if found.facts.get("run") != mark:
                raise FileError(f"{path}: belongs to another run")
            return found, wrong
        except FileError as error:
            wrong.append(str(error))
    return None, wrong


def restore(
    found: Checkpoint, model: nn.Module, optimiser: torch.optim.Optimizer, device: torch.device
) -> None:
    """Load a checkpoint into a model and its optimiser.

    Raises:
        FileError: it belongs to another model.
    """
    weights = {
        key.removeprefix("model."): each
        for key, each in found.tensors.items()
        if key.startswith("model.")
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise FileError(f"{found.path}: belongs to another model ({reason})") from error
    for name, parameter in model.named_parameters():
        state = {}
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = found.tensors.get(f"optimiser.{key}.{name}")
            if value is not None:
                state[key] = value.clone() if key == "step" else value.clone().to(device)
        if state:
            optimiser.state[parameter] = state


def _read(path: Path) -> Checkpoint:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get("format") != FORMAT or metadata.get("hash") != _hash(tensors):
            raise FileError(f"{path}: is damaged, or not a training checkpoint")
        return Checkpoint(path, int(metadata["step"]), tensors, json.loads(metadata["facts"]))
    except (OSError, SafetensorError, ValueError, KeyError, RecursionError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: is damaged ({' '.join(str(error).split())[:100]})") from error


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        flat = tensor.reshape(-1)
        if flat.numel():
            digest.update(flat.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
