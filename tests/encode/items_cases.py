"""Encoders of functions for images, sounds and texts, and tiny items for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import functions
import numpy as np
import torch
from layouts.items import png, put, wav
from numpy.typing import NDArray

from modalgap.data import Items, read_items
from modalgap.encode import FunctionEncoder


def spectrum(sound: tuple[NDArray[np.float32], int]) -> torch.Tensor:
    """(48,) values of a sound."""
    samples, rate = sound
    found = np.abs(np.fft.rfft(samples[: rate // 20], 94))
    return torch.from_numpy(found.astype(np.float32))


def images(**changes: Any) -> FunctionEncoder:
    """A model of images and texts."""
    return functions.encoder(**({"spec": "images"} | changes))


def sounds(**changes: Any) -> FunctionEncoder:
    """A model of sounds and texts."""
    given = {"spec": "sounds", "prepare": spectrum, "modalities": ("audio", "text")}
    return functions.encoder(**(given | changes))


def folder_of(path: Path, count: int = 6) -> Path:
    """Images, captions, and speech and synthetic speech of them."""
    for i in range(count):
        put(path / f"{i}.png", png(i))
        put(path / f"{i}.txt", f"a face {'b' * i}\nbad {'c' * i} deed")
        put(path / f"{i}.speech.wav", wav(i))
        put(path / f"{i}.tts.wav", wav(50 + i))
    return path


def items_of(path: Path, count: int = 6) -> Items:
    return read_items(folder_of(path, count))
