"""Write embeddings as a folder of shards. The worker that computes a shard writes it.

A shard is a file with a span of items, in every modality. It is written atomically, so a shard that
exists is complete: an interrupted run resumes with the missing shards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from modalgap.arguments import checked
from modalgap.atomic import made_folder, remove_abandoned
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import CHUNK, SomeRows
from modalgap.embeddings.scan import Scanning
from modalgap.embeddings.store import save
from modalgap.embeddings.streaming import SPAN
from modalgap.embeddings.strings import blocks
from modalgap.errors import InputError, OutputError, reason
from modalgap.progress import note
from modalgap.work import Advance, Span, path_of, remove, spans_of, spread, work_folder

ENDING = ".safetensors"
Data = Pair | Embeddings | Modalities


@checked
def save_shards(data: Data, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write a folder of ``.safetensors`` shards of 249,856 items; ``load`` reads the folder.

    The current executor writes the shards; its workers need the same file system. An interrupted
    run resumes: the shards that are complete are kept.

    Args:
        data: items that match by row; captions in the order of their images, the same number for
            each; or images with class prompts, which every shard repeats.
        folder: new or empty; with ``overwrite`` it may hold .safetensors files.
        overwrite: whether the files in the folder may be replaced.

    Returns:
        The folder.

    Raises:
        InputError: other matches.
        OutputError: the folder holds other files, or a shard cannot be written.
    """
    if not isinstance(data, Data):
        raise InputError(
            f"data: must be a Pair, Embeddings or Modalities; got {type(data).__name__}"
        )
    each = texts_per_item(data)
    path, folder = Path(folder), Path(folder)
    if folder.is_symlink():  # the shards go where it points
        folder = Path(os.path.realpath(folder))
    there = _there(folder)
    other = next((path.name for path in there if not _is_shard(path)), None)
    if other:
        raise OutputError(
            f"{folder}: must be missing, empty, or a folder of {ENDING} shards; found {other}"
        )
    if there and not overwrite:
        raise OutputError(f"{folder}: holds shards; replace them with --force or overwrite=True")
    work = path_of(folder.absolute())
    spans = spans_of(data.sides[0].n, SPAN)
    state = _state(data)
    plan = {"kind": "shards", "count": len(spans), "data": state}
    with made_folder(folder), work_folder(work, plan, overwrite=overwrite):
        place = work / f"shards-{state}"
        place.mkdir(exist_ok=True)
        remove_abandoned(place)
        _write(data, each, spans, place)
        try:
            if there:  # the new folder takes the place of the old one at once
                folder.replace(work / "before")
            place.replace(folder)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be replaced ({reason(error)}); the shards are in {place}"
            ) from error
        remove(work)
    return path


def _write(data: Data, each: int, spans: list[Span], place: Path) -> None:
    """Write the shards that are missing."""
    names = [f"part-{i:05d}-of-{len(spans):05d}{ENDING}" for i in range(len(spans))]
    todo = [i for i, name in enumerate(names) if not (place / name).exists()]
    if len(todo) < len(names):
        note(f"{len(names) - len(todo)} of {len(names)} shards were there already")
    steps = len(data.sides) if each == 1 else 1 + each
    found = spread(
        _ShardJob(data, each, place),
        [spans[i] for i in todo],
        "writing shards",
        steps=steps,
        more=[(names[i],) for i in todo],
    )
    for name in found:
        if not (place / name).exists():
            raise OutputError(
                f"{place / name}: was written by a worker, but is not here: the output must be on"
                " a file system that all workers share"
            )


@dataclass(frozen=True, eq=False)
class _ShardJob:
    """Writes one shard."""

    data: Data
    each: int
    folder: Path

    def __call__(self, span: Span, name: str, *, advance: Advance) -> str:
        some = part_of(self.data, span, self.each)
        save(some, self.folder / name, overwrite=True)
        advance(sum(side.n for side in some.sides))
        return name


def part_of(data: Data, span: Span, each: int) -> Data:
    """The items [a, b), a span, of data whose items match in order.

    Args:
        data: as for ``save_shards``.
        span: (a, b).
        each: ``texts_per_item(data)``.
    """
    a, b = span
    if isinstance(data, Embeddings):
        return _some(data, a, b)
    if isinstance(data, Modalities):
        return Modalities([_some(side, a, b) for side in data.sides])
    if data.labels is not None:
        return Pair(_some(data.image, a, b), data.text, labels=data.labels[a:b])
    text = _some(data.text, a * each, b * each)
    image = _some(data.image, a, b)
    if each == 1:
        return Pair(image, text)
    assert data.text_to_image is not None  # noqa: S101 - several captions per image
    return Pair(image, text, text_to_image=data.text_to_image[a * each : b * each] - a)


def _some(side: Embeddings, a: int, b: int) -> Embeddings:
    return Embeddings(
        SomeRows(side.rows, a, b),
        side.modality,
        None if side.names is None else side.names[a:b],
        {name: values[a:b] for name, values in side.factors.items()},
        side.provenance,
        side.source,
    )


def texts_per_item(data: Data) -> int:
    """Texts of each image; 1 for other data.

    Raises:
        InputError: the matches are in another order.
    """
    if isinstance(data, Embeddings) or (isinstance(data, Modalities) and data.by_row):
        return 1
    each = data.captions_per_image if isinstance(data, Pair) else None
    if each is None and not (isinstance(data, Pair) and data.labels is not None):
        raise InputError(
            "data: items must match by row, or be captions in the order of their images, or have"
            " class prompts; found other matches (a single file can hold these)"
        )
    return each or 1


def _there(folder: Path) -> list[Path]:
    """What the folder holds, files of others first."""
    try:
        return sorted(folder.iterdir(), key=lambda path: (_is_shard(path), path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise OutputError(f"{folder}: cannot be read ({reason(error)})") from error


def _is_shard(path: Path) -> bool:
    return path.suffix == ENDING and not path.name.startswith(".") and path.is_file()


def _state(data: Data) -> str:
    """A hash of all that the shards will hold; of rows in files, of what tells a changed file."""
    digest = xxhash.xxh3_128()

    def add(*found: object) -> None:
        digest.update(repr(found).encode(errors="backslashreplace"))

    for side in data.sides:
        add(side.modality, side.n, sorted(side.provenance.items()), sorted(side.factors))
        for values in side.factors.values():
            add(values.dtype.str, values.tolist())
        for names in blocks(side.names or ()):
            add(names)
        if side.rows.in_memory:
            add(side.fingerprint)
        else:
            add(*_states(side.rows))
    if isinstance(data, Pair) and data.labels is not None:
        add(xxhash.xxh3_128_hexdigest(data.labels.tobytes()))
    return digest.hexdigest()


def _states(rows: Any) -> Iterator[object]:
    """What these rows are: a place in a file, or others and what is computed from them."""
    yield type(rows).__name__, rows.shape, str(rows.dtype)
    names = ("path", "stamp", "key", "offset", "start", "stop")
    yield [(name, str(getattr(rows, name))) for name in names if hasattr(rows, name)]
    if hasattr(rows, "index"):
        yield xxhash.xxh3_128_hexdigest(rows.index.numpy())
    by = getattr(getattr(rows, "by", None), "fingerprint", None)
    yield by
    under = list(getattr(rows, "parts", ())) or ([rows.whole] if hasattr(rows, "whole") else [])
    if under and (by or not hasattr(rows, "by")):
        for each in under:
            yield from _states(each)
    elif not hasattr(rows, "stamp"):  # in memory, or of a class of the user
        scanning = Scanning()
        for a, b in spans_of(rows.shape[0], CHUNK):
            scanning.hash(rows.read(a, b))
        yield scanning.result().blocks
