"""An encoder of plain functions, quick enough for tests of everything around a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from modalgap.encode import FunctionEncoder


def shrink(image: Image.Image) -> torch.Tensor:
    """(48,) bytes of an image as floats: what the encoder of functions takes."""
    small = np.asarray(image.resize((4, 4)), np.float32)
    return torch.from_numpy(small.reshape(-1).copy())


def look(batch: torch.Tensor) -> torch.Tensor:
    """(b, 48) to (b, 8)."""
    weights = torch.sin(torch.arange(48 * 8, dtype=torch.float32)).reshape(48, 8)
    return batch @ weights + 1.0


def count(texts: list[str]) -> torch.Tensor:
    """(b, 8): how often letters come."""
    letters = [[text.count(letter) for letter in "abcdefg"] for text in texts]
    return torch.nn.functional.pad(torch.tensor(letters, dtype=torch.float32), (0, 1), value=1.0)


def encoder(**changes: Any) -> FunctionEncoder:
    """An encoder of functions, quick enough for tests of everything around it."""
    given = {"media": look, "texts": count, "prepare": shrink, "dim": 8, "spec": "functions"}
    return FunctionEncoder(**(given | changes))
