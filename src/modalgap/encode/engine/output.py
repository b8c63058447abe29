"""The output files of a run: one file, or shards if it is large, and the list of skipped items."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from modalgap.atomic import check_target, replacing
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.formats import WRITERS
from modalgap.embeddings.pick import pick_images
from modalgap.embeddings.rows import MemoryRows, SomeRows
from modalgap.embeddings.store import save
from modalgap.errors import OutputError
from modalgap.work import path_of

SHARD = 4 * 2**30  # bytes of vectors in one file


def write(data: Pair | Embeddings, target: Path, *, overwrite: bool) -> tuple[Path, ...]:
    """Write the file, or its shards if it is large; return the paths."""
    shards = _shards(data, target)
    for path, part in shards:
        # shards of an interrupted write belong to this run
        save(part, path, overwrite=overwrite or len(shards) > 1)
    return tuple(path for path, _ in shards)


def list_skipped(
    skipped: Sequence[tuple[str, str]], unused: Sequence[tuple[str, str]], target: Path
) -> Path | None:
    """List skipped items and unused files next to the output, one JSON object per line.

    A list of an earlier run is replaced or removed.
    """
    listing = _listing(target)
    if not skipped and not unused:
        listing.unlink(missing_ok=True)
        return None
    with replacing(listing, overwrite=True) as file:
        for kind, items in (("skipped", skipped), ("not used", unused)):
            for name, reason in items:
                entry = {"name": name, "reason": reason, "kind": kind}
                file.write(json.dumps(entry).encode() + b"\n")
    return listing


def _shards(data: Pair | Embeddings, target: Path) -> list[tuple[Path, Pair | Embeddings]]:
    sides = data.sides if isinstance(data, Pair) else (data,)
    size = sum(side.n * side.dim * side.rows.dtype.itemsize for side in sides)
    first = sides[0]
    count = min(-(-size // SHARD), first.n // 2)
    if count <= 1:
        return [(target, data)]
    edges = [first.n * i // count for i in range(count + 1)]
    return [(_shard(target, i, count), _slice(data, edges[i], edges[i + 1])) for i in range(count)]


def _slice(data: Pair | Embeddings, start: int, stop: int) -> Pair | Embeddings:
    """Images [start, stop) and their texts; all class prompts.

    A text of images in several shards is stored in each of them.
    """
    if isinstance(data, Embeddings):
        return _some(data, start, stop)
    owner = data.text_to_image
    if data.pairs is not None or (owner is not None and (np.diff(owner) < 0).any()):
        return pick_images(data, np.arange(start, stop))
    image = _some(data.image, start, stop)
    if data.labels is not None:
        return Pair(image, data.text, labels=data.labels[start:stop])
    if owner is None:
        return Pair(image, _some(data.text, start, stop))
    a, b = np.searchsorted(owner, [start, stop])  # texts are in the order of their images
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
    """The data in memory, without files."""
    if isinstance(data, Embeddings):
        return held(data)
    return data.over(held(data.image), held(data.text))


def held(side: Embeddings) -> Embeddings:
    """One modality in memory."""
    return Embeddings(
        MemoryRows(side.rows.read(0, side.n)),
        side.modality,
        None if side.names is None else tuple(side.names),
        side.factors,
        side.provenance,
        side.source,
    )


def check_output(target: Path, *, overwrite: bool) -> None:
    """Check, before any work is done, that the path can become a file of embeddings.

    Raises:
        OutputError: an unknown extension, an error of ``check_target`` for the file or for the
            files next to it, or shards of an earlier run.
    """
    if target.suffix.lower() not in WRITERS:
        known = ", ".join(sorted(WRITERS))
        raise OutputError(f"{target}: must end in {known}; found {target.suffix or 'no extension'}")
    check_target(target, overwrite=overwrite)
    for beside in (_listing(target), _shard(target, 0, 0)):  # the name may be too long
        check_target(beside, overwrite=True)
    if overwrite or path_of(target).is_dir():  # an interrupted write resumes
        return
    for path in sorted(target.parent.glob(f"{glob.escape(target.stem)}-*{target.suffix}")):
        if _is_shard(path, target):
            check_target(path, overwrite=False)


def not_own(target: Path, files: Iterable[Path]) -> None:
    """Check, before any work is done, that the output does not overwrite the source.

    Args:
        target: the output.
        files: the files of the source.

    Raises:
        OutputError: the file, or a shard of it, belongs to the source.
    """
    try:
        there = target.stat()
    except OSError:
        there = None
    for path in files:
        try:
            own = there is not None and os.path.samestat(there, path.stat())
            if own or (_is_shard(path, target) and path.parent.samefile(target.parent)):
                raise OutputError(f"{target}: must not be a file that is being read; {path} is")
        except OutputError:
            raise
        except (OSError, ValueError):
            continue


def _listing(target: Path) -> Path:
    return target.with_name(f"{target.name}.skipped.jsonl")


def _shard(target: Path, number: int, count: int) -> Path:
    return target.with_name(f"{target.stem}-{number:05d}-of-{count:05d}{target.suffix}")


def _is_shard(path: Path, target: Path) -> bool:
    if not path.name.startswith(target.stem) or path.suffix != target.suffix:
        return False
    return re.fullmatch(r"-[0-9]{5}-of-[0-9]{5}", path.stem.removeprefix(target.stem)) is not None
