"""What a run has done so far, on the disk beside its output, batch by batch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open

from modalgap.atomic import replacing
from modalgap.embeddings.formats.files import parsing
from modalgap.errors import FileError
from modalgap.invert.base import InversionBatch

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


def write(folder: Path, span: Span, done: InversionBatch, run: str) -> None:
    """Keep a batch of a run."""
    kept = {name: each.contiguous() for name, each in done.tensors().items()}
    said = {"run": run, "span": json.dumps(span)}
    with replacing(_path(folder, span), overwrite=True) as file:
        file.write(safetensors.torch.save(kept, said))


def read(folder: Path, span: Span, run: str) -> InversionBatch:
    """A batch that was kept.

    Raises:
        FileError: it is damaged, or of another run.
    """
    path = _path(folder, span)
    damaged = FileError(f"{path}: is damaged; remove {folder} to start over")
    try:
        with parsing(path, "safetensors"), safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileError as error:
        raise damaged from error
    count = span[1] - span[0]
    dims = {"features": 2, "cosines": 1, "vectors": 3, "losses": 2, "steps": 1}
    whole = (
        said.get("run") == run
        and said.get("span") == json.dumps(span)
        and {"features", "cosines"} <= found.keys() <= dims.keys()
        and all(each.ndim == dims[name] and len(each) == count for name, each in found.items())
        and all(
            each.dtype == torch.float32 and bool(each.isfinite().all())
            for name, each in found.items()
            if name != "steps"
        )
        and bool(((found["features"].norm(dim=1) - 1).abs() < UNIT).all())
        and bool((found["cosines"].abs() < 1 + UNIT).all())
        and ("steps" not in found or found["steps"].dtype == torch.int64)
    )
    if not whole:
        raise damaged
    return InversionBatch.of(found)


def read_all(folder: Path, n: int, run: str) -> dict[Span, InversionBatch]:
    """Every batch of n items that was kept, in order.

    Raises:
        FileError: one is damaged, or they are not of one run.
    """
    found = {span: read(folder, span, run) for span in spans(folder)}
    kinds = {
        tuple((name, tuple(each.shape[1:])) for name, each in done.tensors().items())
        for done in found.values()
    }
    edges = [edge for span in found for edge in span]
    if len(kinds) > 1 or edges != sorted(edges) or max(edges, default=0) > n:
        raise FileError(f"{folder}: its parts do not fit together; remove it to start over")
    return found


def _path(folder: Path, span: Span) -> Path:
    return folder / f"items-{span[0]:09d}-{span[1]:09d}.safetensors"
