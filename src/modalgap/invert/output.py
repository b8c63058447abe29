"""The result of an inversion, in memory and in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from modalgap.arguments import checked
from modalgap.atomic import check_target, replacing
from modalgap.embeddings import Embeddings
from modalgap.embeddings.formats import safetensors
from modalgap.embeddings.store import load_embeddings
from modalgap.errors import FileError, OutputError
from modalgap.files import parsing, regular_file
from modalgap.invert.base import InversionBatch

SUFFIX = ".safetensors"
KEYS = ("cosines", "pseudo_tokens", "losses", "steps")


@checked
@dataclass(frozen=True, eq=False)
class Inverted:
    """Inverted features and their statistics.

    Attributes:
        features: n unit rows of the target modality, with the names, factors and provenance of
            the input; the provenance has ``inverted_from``.
        cosines: (n,) cosine of each feature to the feature that it was made from.
        vectors: (n, k, width) pseudo-tokens or pseudo-patches; None if the method has none.
        losses: (n, s + 1) loss at the start and after each step; None if the method has none.
        steps: (n,) number of steps; None if the method has none.
    """

    features: Embeddings
    cosines: Tensor
    vectors: Tensor | None = None
    losses: Tensor | None = None
    steps: Tensor | None = None

    def __repr__(self) -> str:
        cosine = float(self.cosines.mean())
        return f"Inverted({self.features!r}, mean cosine {cosine:.3f})"

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write one file. ``modalgap.load_embeddings`` reads the features from it.

        Raises:
            OutputError: the extension is not .safetensors, or the file exists.
        """
        path = Path(path)
        check_output(path, overwrite=overwrite)
        named = (self.cosines, self.vectors, self.losses, self.steps)
        more: dict[str, NDArray[Any]] = {
            key: tensor.numpy()
            for key, tensor in zip(KEYS, named, strict=True)
            if tensor is not None
        }
        with replacing(path, overwrite=overwrite) as file:
            for _ in safetensors.write(self.features, file, more):
                continue
        return path


def check_output(path: Path, *, overwrite: bool) -> None:
    """Check the output path before any work is done.

    Raises:
        OutputError: the extension is wrong, or ``check_target`` raises it.
    """
    if path.suffix.lower() != SUFFIX:
        raise OutputError(f"{path}: must end in {SUFFIX}; found {path.suffix or 'no extension'}")
    check_target(path, overwrite=overwrite)


@checked
def read(path: str | Path) -> Inverted:
    """Read a file written by ``Inverted.save``.

    Raises:
        FileError: the file cannot be read, or holds no inversion.
    """
    path = Path(path)
    regular_file(path)
    found: dict[str, Tensor] = {}
    with parsing(path, "safetensors"), safe_open(path, framework="pt") as file:
        for key in set(KEYS) & set(file.keys()):
            found[key] = file.get_tensor(key)
    features = load_embeddings(path)
    if "cosines" not in found or "inverted_from" not in features.provenance:
        raise FileError(f"{path}: must be written by modalgap invert; it holds no inversion")
    for key, tensor in found.items():
        dims = {"cosines": 1, "steps": 1, "losses": 2, "pseudo_tokens": 3}[key]
        if tensor.ndim != dims or len(tensor) != features.n or 0 in tensor.shape:
            raise FileError(f"{path}: {key} must match {features.n} rows; is {tuple(tensor.shape)}")
        if tensor.dtype != (torch.int64 if key == "steps" else torch.float32):
            raise FileError(f"{path}: {key} must be float32, and steps int64; is {tensor.dtype}")
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{path}: {key} must be finite; holds nan or infinity")
    return Inverted(features, *(found.get(key) for key in KEYS))  # type: ignore[arg-type]


def joined(parts: Sequence[InversionBatch], features: Embeddings) -> Inverted:
    """Join all parts, in order."""

    def all_of(name: str) -> Tensor | None:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else torch.cat(found)

    cosines = all_of("cosines")
    assert cosines is not None  # noqa: S101 - every part has them
    return Inverted(features, cosines, all_of("vectors"), all_of("losses"), all_of("steps"))


def rows_of(parts: Sequence[InversionBatch]) -> NDArray[np.float32]:
    """The features (n, d) of all parts."""
    return torch.cat([part.features for part in parts]).numpy()
