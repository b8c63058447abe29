"""Read and write the batches of a run as part files."""

from __future__ import annotations

import torch

from modalgap.errors import FileError
from modalgap.invert.base import InversionBatch
from modalgap.work import Parts, Span, damaged

UNIT = 1e-3  # tolerance of the norms of features around 1
DIMS = {"features": 2, "cosines": 1, "vectors": 3, "losses": 2, "steps": 1}


def write(parts: Parts, span: Span, batch: InversionBatch) -> None:
    """Write a batch."""
    parts.write(span, {name: each.numpy() for name, each in batch.tensors().items()})


def read(parts: Parts, span: Span) -> InversionBatch:
    """Read a batch.

    Raises:
        FileError: it is damaged, or belongs to another run.
    """
    arrays = parts.read(span).arrays
    found = {name: torch.from_numpy(array) for name, array in arrays.items()}
    count = span[1] - span[0]
    whole = (
        {"features", "cosines"} <= found.keys() <= DIMS.keys()
        and all(each.ndim == DIMS[name] and len(each) == count for name, each in found.items())
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
        raise damaged(parts.path(span))
    return InversionBatch.of(found)


def read_all(parts: Parts, n: int) -> dict[Span, InversionBatch]:
    """Read every batch of n items that exists, in order.

    Raises:
        FileError: a batch is damaged, or batches do not fit together.
    """
    result = {span: read(parts, span) for span in parts.spans()}
    kinds = {
        tuple((name, tuple(each.shape[1:])) for name, each in batch.tensors().items())
        for batch in result.values()
    }
    edges = [edge for span in result for edge in span]
    if len(kinds) > 1 or edges != sorted(edges) or max(edges, default=0) > n:
        raise FileError(f"{parts.folder}: its parts do not fit together; remove it to start over")
    return result
