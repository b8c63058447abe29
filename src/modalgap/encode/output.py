"""The files that a run leaves: one, or shards if it would be large, and the list of the skipped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modalgap.atomic import check_target, replacing
from modalgap.embeddings.formats import WRITERS
from modalgap.embeddings.pair import Embeddings, Pair
from modalgap.embeddings.rows import MemoryRows, SomeRows
from modalgap.embeddings.store import save
from modalgap.errors import OutputError

SHARD = 4 * 2**30  # bytes of vectors in one file


def write(data: Pair | Embeddings, target: Path, *, overwrite: bool) -> tuple[Path, ...]:
    """The file, or its shards if it would be large."""
    shards = _shards(data, target)
    for path, part in shards:
        # shards of an interrupted write are ours
        save(part, path, overwrite=overwrite or len(shards) > 1)
    return tuple(path for path, _ in shards)


def list_skipped(skipped: Sequence[tuple[str, str]], target: Path) -> Path | None:
    """One JSON object a line, beside the output; an older list goes."""
    listing = target.with_name(f"{target.name}.skipped.jsonl")
    if not skipped:
        listing.unlink(missing_ok=True)
        return None
    with replacing(listing, overwrite=True) as file:
        for name, reason in skipped:
            file.write(json.dumps({"name": name, "reason": reason}).encode() + b"\n")
    return listing


def _shards(data: Pair | Embeddings, target: Path) -> list[tuple[Path, Pair | Embeddings]]:
    sides = data.sides if isinstance(data, Pair) else (data,)
    size = sum(side.n * side.dim * side.rows.dtype.itemsize for side in sides)
    first = sides[0]
    count = min(-(-size // SHARD), first.n // 2)
    if count <= 1:
        return [(target, data)]
    edges = [first.n * i // count for i in range(count + 1)]
    names = [f"{target.stem}-{i:05d}-of-{count:05d}{target.suffix}" for i in range(count)]
    return [
        (target.with_name(name), _slice(data, start, stop))
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True)
    ]


def _slice(data: Pair | Embeddings, start: int, stop: int) -> Pair | Embeddings:
    """Images [start, stop) and their texts; class prompts all stay."""
    if isinstance(data, Embeddings):
        return _some(data, start, stop)
    image = _some(data.image, start, stop)
    if data.labels is not None:
        return Pair(image, data.text, labels=data.labels[start:stop])
    owner = data.text_to_image
    if owner is None:
        return Pair(image, _some(data.text, start, stop))
    a, b = np.searchsorted(owner, [start, stop])  # texts lie in the order of their images
    return Pair(image, _some(data.text, int(a), int(b)), text_to_image=owner[a:b] - start)


def _some(side: Embeddings, start: int, stop: int) -> Embeddings:
    return Embeddings(
        SomeRows(side.rows, start, stop),
        side.modality,
        names=None if side.names is None else side.names[start:stop],
        factors={key: column[start:stop] for key, column in side.factors.items()},
        provenance=side.provenance,
        source=side.source,
    )


def in_memory(data: Pair | Embeddings) -> Pair | Embeddings:
    """The same without files."""

    def held(side: Embeddings) -> Embeddings:
        return Embeddings(
            MemoryRows(side.rows.read(0, side.n)),
            side.modality,
            side.names,
            side.factors,
            side.provenance,
            side.source,
        )

    if isinstance(data, Embeddings):
        return held(data)
    return Pair(held(data.image), held(data.text), data.text_to_image, data.labels)


def check_output(target: Path, *, overwrite: bool) -> None:
    """Refuse, before any work is done, a path that cannot become a file of embeddings.

    Raises:
        OutputError: an unknown extension, or whatever ``check_target`` refuses.
    """
    if target.suffix.lower() not in WRITERS:
        known = ", ".join(sorted(WRITERS))
        raise OutputError(f"{target}: must end in {known}; found {target.suffix or 'no extension'}")
    check_target(target, overwrite=overwrite)
