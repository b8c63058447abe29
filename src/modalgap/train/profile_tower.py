"""A tower for the profiles of MAD: a small convolutional network over 28 samples."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from modalgap.data.mad.profiles import CHANNELS, LENGTH
from modalgap.encode.weights import reading_weights
from modalgap.errors import FileError

PROFILE = "profile"  # the name of the modality
GAIN = 4.0  # most samples are below a quarter of full ink


class ProfileTower(nn.Module):
    """Three convolutions over time, then one linear layer.

    Args:
        dim: width of the features.
        width: channels of the convolutions.
    """

    def __init__(self, dim: int, width: int = 64) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(CHANNELS, width, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.GELU(),
        )
        self.projection = nn.Linear(width * (LENGTH // 4), dim)

    def forward(self, profiles: Tensor) -> Tensor:
        """(b, d) features of profiles (b, 2, 28), not normalised."""
        found: Tensor = self.projection(self.convolutions(GAIN * profiles).flatten(1))
        return found


def made_tower(dim: int, seed: int) -> ProfileTower:
    """An untrained tower, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ProfileTower(dim)


def load_profile_tower(folder: str | Path) -> ProfileTower:
    """The trained tower of profiles, in evaluation mode.

    Args:
        folder: the model of a run with profiles: ``run.model``.

    Raises:
        FileError: the folder has no tower of profiles, or its file is damaged.
    """
    path = Path(folder) / f"{PROFILE}.safetensors"
    if not path.is_file():
        raise FileError(f"{path}: no such file; train with data.profiles: true")
    with reading_weights(str(path), path):
        weights = load_file(path)
        dim, inputs = weights["projection.weight"].shape
        tower = ProfileTower(dim, inputs // (LENGTH // 4))
        tower.load_state_dict(weights)
    return tower.eval()
