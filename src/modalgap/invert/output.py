"""What inversion gives, in memory and in a file."""

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
from modalgap.embeddings.formats.files import parsing, regular_file
from modalgap.embeddings.store import load_embeddings
from modalgap.errors import FileError, OutputError
from modalgap.invert.base import InversionBatch

SUFFIX = ".safetensors"
KEYS = ("cosines", "pseudo_tokens", "losses", "steps")


@checked
@dataclass(frozen=True, eq=False)
class Inverted:
    """Inverted features, and what they were made from.

    Attributes:
        features: n unit rows of the other modality, with the names, factors and provenance of what
            was inverted; the provenance says ``inverted_from``.
        cosines: (n,) of each with the feature that it was made from.
        vectors: (n, k, width) pseudo-tokens or pseudo-patches; None where there are none.
        losses: (n, s + 1) at the start and after each step; likewise.
        steps: (n,) taken; likewise.
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
        """Write one file, which ``modalgap.load_embeddings`` reads as the features.

        Raises:
            OutputError: another extension than .safetensors, or a file that exists.
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
    """Refuse, before any work is done, a path that cannot become such a file.

    Raises:
        OutputError: another extension, or whatever ``check_target`` refuses.
    """
    if path.suffix.lower() != SUFFIX:
        raise OutputError(f"{path}: must end in {SUFFIX}; found {path.suffix or 'no extension'}")
    check_target(path, overwrite=overwrite)


@checked
def read(path: str | Path) -> Inverted:
    """The file that ``Inverted.save`` wrote.

    Raises:
        FileError: it cannot be read, or holds no inversion.
    """
    path = Path(path)
    regular_file(path)
    found: dict[str, Tensor] = {}
    with parsing(path, "safetensors"), safe_open(path, framework="pt") as file:
        for key in set(KEYS) & set(file.keys()):
            found[key] = file.get_tensor(key)
    features = load_embeddings(path)
    if "cosines" not in found or "inverted_from" not in features.provenance:
        raise FileError(f"{path}: must be what modalgap invert wrote; it holds no inversion")
    for key, tensor in found.items():
        dims = {"cosines": 1, "steps": 1, "losses": 2, "pseudo_tokens": 3}[key]
        if tensor.ndim != dims or len(tensor) != features.n or 0 in tensor.shape:
            raise FileError(
                f"{path}: {key} must fit to {features.n} rows; is {tuple(tensor.shape)}"
            )
        if tensor.dtype != (torch.int64 if key == "steps" else torch.float32):
            raise FileError(f"{path}: {key} must be of float32, steps of int64; is {tensor.dtype}")
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{path}: {key} must be finite; holds nan or infinity")
    return Inverted(features, *(found.get(key) for key in KEYS))  # type: ignore[arg-type]


def joined(parts: Sequence[InversionBatch], features: Embeddings) -> Inverted:
    """All parts as one, in order."""

    def all_of(name: str) -> Tensor | None:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else torch.cat(found)

    cosines = all_of("cosines")
    assert cosines is not None  # noqa: S101 - every part has them
    return Inverted(features, cosines, all_of("vectors"), all_of("losses"), all_of("steps"))


def rows_of(parts: Sequence[InversionBatch]) -> NDArray[np.float32]:
    """Features (n, d) of all parts."""
    return torch.cat([part.features for part in parts]).numpy()
