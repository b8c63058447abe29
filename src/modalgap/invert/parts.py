"""What a run has done so far, on the disk beside its output, batch by batch."""

from __future__ import annotations

import re
from pathlib import Path

import safetensors.torch
import torch

from modalgap.atomic import replacing
from modalgap.embeddings.formats.files import parsing
from modalgap.errors import FileError
from modalgap.invert.base import Done

NAME = re.compile(r"items-([0-9]+)-([0-9]+)\.safetensors")
UNIT = 1e-3  # how far from 1 the norms of features may be
Span = tuple[int, int]


def spans(folder: Path) -> list[Span]:
    """The items that are done: [a, b), in order."""
    found = [NAME.fullmatch(path.name) for path in folder.iterdir()]
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def missing(done: list[Span], n: int, size: int) -> list[Span]:
    """What remains of n items, in batches of at most ``size``."""
    left = []
    position = 0
    for a, b in [*done, (n, n)]:
        left += [(i, min(i + size, a)) for i in range(position, a, size)]
        position = max(position, b)
    return left


def write(folder: Path, span: Span, done: Done) -> None:
    """Keep a batch."""
    kept = {name: each.contiguous() for name, each in done.tensors().items()}
    with replacing(_path(folder, span), overwrite=True) as file:
        file.write(safetensors.torch.save(kept))


def read(folder: Path, span: Span) -> Done:
    """A batch that was kept.

    Raises:
        FileError: it is damaged.
    """
    path = _path(folder, span)
    damaged = FileError(f"{path}: is damaged; remove {folder} to begin anew")
    try:
        with parsing(path, "safetensors"):
            found = safetensors.torch.load(path.read_bytes())
    except FileError as error:
        raise damaged from error
    count = span[1] - span[0]
    floats = [each for name, each in found.items() if name != "steps"]
    whole = (
        {"features", "cosines"} <= found.keys()
        and all(len(each) == count for each in found.values())
        and all(each.dtype == torch.float32 and bool(each.isfinite().all()) for each in floats)
        and bool(((found["features"].norm(dim=1) - 1).abs() < UNIT).all())
    )
    if not whole:
        raise damaged
    return Done.of(found)


def read_all(folder: Path) -> dict[Span, Done]:
    """Every batch that was kept, in order.

    Raises:
        FileError: one is damaged, or they are not of one run.
    """
    found = {span: read(folder, span) for span in spans(folder)}
    kinds = {
        tuple((name, tuple(each.shape[1:])) for name, each in done.tensors().items())
        for done in found.values()
    }
    if len(kinds) > 1:
        raise FileError(f"{folder}: its parts do not fit together; remove it to begin anew")
    return found


def _path(folder: Path, span: Span) -> Path:
    return folder / f"items-{span[0]:09d}-{span[1]:09d}.safetensors"
