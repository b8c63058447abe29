"""Read img2dataset's folders: images next to .txt and .json, and Parquet metadata per folder.

``00000/000000003.jpg`` has ``00000/000000003.txt`` and ``.json``; ``00000.parquet`` has one row per
URL with its key and status, also for failed ones, and no image bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.data.columns import NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.media import IMAGES, SOUNDS, Files, read_file
from modalgap.data.objects import read_captions
from modalgap.data.reading import column, load_json, reading
from modalgap.data.source import Source
from modalgap.data.sources import names as known
from modalgap.data.sources.arrow import failure
from modalgap.data.sources.shards import absent, by_number, check_whole, natural
from modalgap.data.sources.typed import holds_bytes, holds_captions, holds_factor
from modalgap.data.summary import grouped
from modalgap.data.text import full_lines
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_sizes import read_columns
from modalgap.errors import FileError, quoted

KEY, STATUS, ERROR = "key", "status", "error_message"
SUCCESS = "success"


def is_metadata(path: Path) -> bool:
    """Whether a Parquet file is img2dataset's list of URLs with their status."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    if not {KEY, STATUS} <= set(schema.names):
        return False
    return not any(holds_bytes(kind) for kind in schema.types)


def is_downloaded(folder: Path) -> bool:
    """Whether a folder is output of img2dataset in its "files" format."""
    try:
        inside = list(folder.iterdir())
    except OSError:
        return False
    folders = {each.name for each in inside if each.name.isdecimal() and each.is_dir()}
    if not folders:
        return False
    numbered = [each for each in inside if each.suffix == ".parquet" and each.stem.isdecimal()]
    stats = any(f"{name}_stats.json" in {each.name for each in inside} for name in folders)
    return any(is_metadata(each) for each in numbered) or (stats and not numbered)


@dataclass
class _Read:
    """The content of the folders: one entry per image."""

    paths: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    captions: list[Any] = field(default_factory=list)
    rows: list[int | None] = field(default_factory=list)  # rows of the metadata
    missing: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    images: set[str] = field(default_factory=set)  # keys


class Metadata:
    """The columns of the Parquet files; a column is read on first access.

    Args:
        files: the Parquet files, in order.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self.schemas = [pq.read_schema(path) for path in files]
        self.types: dict[str, pa.DataType] = {}
        for schema in self.schemas:
            for each in schema:
                if each.name not in self.types or pa.types.is_null(self.types[each.name]):
                    self.types[each.name] = each.type

    def values(self, name: str) -> list[Any]:
        """A column; None for files without it."""
        result: list[Any] = []
        for path, schema in zip(self.files, self.schemas, strict=True):
            with opened(path) as file:
                if name in schema.names:
                    result += read_columns(path, file, [name]).column(name).to_pylist()
                else:
                    result += [None] * file.metadata.num_rows
        return result

    @property
    def caption(self) -> str | None:
        """The column of captions."""
        fit = [name for name, kind in self.types.items() if holds_captions(kind)]
        return column(fit, known.SURE_CAPTIONS, None, "captions")


def failed(metadata: Metadata, there: Iterable[str]) -> list[tuple[str, str]]:
    """The rows without an image: (key, reason).

    Args:
        metadata: the metadata of all shards.
        there: the keys of the images that exist.
    """
    images = set(there)
    found = []
    columns = [metadata.values(name) for name in (KEY, STATUS, ERROR)]
    for row, (key, status, error) in enumerate(zip(*columns, strict=True)):
        name = f"row {row}" if key is None else str(key)
        if status != SUCCESS:
            if name not in images:
                found.append((name, failure(status, error)))
        elif name not in images:
            found.append((name, "its status is success; found no image"))
    return found


def read_downloaded(folder: Path, columns: Columns) -> Source:
    """Read images of img2dataset's folders with their captions.

    A caption comes from ``.txt``, else from ``caption`` in ``.json``, else from the Parquet file.

    Raises:
        FileError: a Parquet file is incomplete, or two folders or files have the same number.
    """
    with reading(str(folder)):
        columns.refuse(str(folder), "image", "text", "factors", "captions")
        inside = sorted((e for e in folder.iterdir() if not e.name.startswith(".")), key=natural)
        folders = by_number(
            [e for e in inside if e.is_dir() and e.name.isdecimal()], lambda e: int(e.name)
        )
        tables = [e for e in inside if e.suffix == ".parquet" and e.stem.isdecimal()]
        check_whole(tables)
        numbered = by_number(tables, lambda e: int(e.stem))
        found = _Read()
        for number, each in folders.items():
            if number not in numbered:
                found.notes.append(f"{each.name} has no {each.name}.parquet")
        for number, path in numbered.items():
            if number not in folders:
                found.missing.append((path.name, f"its folder {path.stem} does not exist"))
        metadata = Metadata(list(numbered.values()))
        positions = {str(key): i for i, key in enumerate(metadata.values(KEY)) if key is not None}
        for each in folders.values():
            _images(folder, each, found, positions)
        taken = {*folders.values(), *tables}
        found.unused += [(e.name, _why(e)) for e in inside if e not in taken]
        found.missing += failed(metadata, found.images)
        lost, notes = absent([*folders.values()])
        found.missing[:0] = lost
        found.notes += notes
        return _source(folder, found, metadata, columns)


def _images(folder: Path, inside: Path, found: _Read, positions: Mapping[str, int]) -> None:
    files = sorted(each for each in inside.iterdir() if not each.name.startswith("."))
    endings = {each: each.suffix.lower() for each in files}
    images = [each for each in files if endings[each] in IMAGES | SOUNDS and each.is_file()]
    keys = {each.stem for each in images}
    for each in images:
        found.paths.append(each)
        found.names.append(str(each.relative_to(folder)))
        found.images.add(each.stem)
        found.rows.append(positions.get(each.stem))
    beside = [each for each in files if endings[each] in (".txt", ".json")]
    found.missing += [
        (str(each.relative_to(folder)), "a caption without an image")
        for each in beside
        if each.stem not in keys and endings[each] == ".txt"
    ]
    taken = {*images, *(each for each in beside if each.stem in keys or endings[each] == ".txt")}
    found.unused += [
        (str(each.relative_to(folder)), "not an image") for each in files if each not in taken
    ]


def _why(path: Path) -> str:
    return "statistics of a shard" if path.name.endswith("_stats.json") else "not of img2dataset"


def _source(
    folder: Path,
    found: _Read,
    metadata: Metadata,
    columns: Columns,
) -> Source:
    if not found.paths:
        raise FileError(
            f"must hold images; found none ({'; '.join(grouped('left out', found.missing))})"
        )
    name = columns.text or metadata.caption
    texts: list[list[str]] = []
    has = name is not None or any(each.with_suffix(".txt").is_file() for each in found.paths[:100])
    if has and columns.text != NONE:
        if columns.text is not None and columns.text not in metadata.types:
            known_names = ", ".join(metadata.types) or "none"
            raise FileError(
                f"has no column {quoted(columns.text)} for captions; it has {known_names}"
            )
        listed = metadata.values(name) if name in metadata.types else []
        selected = columns.text is not None
        cells = list(_all_captions(found, listed, only_listed=selected))
        read = read_captions(cells, columns.captions, "captions", found.names)
        texts = read.texts
        found.missing += [(f"{found.names[i]}, caption", why) for i, why in read.lost]
        found.notes += [read.note] if read.note else []
        lined = sum(isinstance(cell, str) and len(full_lines(cell)) > 1 for cell in cells)
        if lined and columns.captions is None:
            found.notes.append(
                f"{lined:,} captions have several lines and are read as one each"
                " (--captions several reads one per line)"
            )
    table = _Factors(metadata, found.rows)
    factors, further = factors_of(table, columns, (KEY, STATUS, ERROR, name))
    owner = np.repeat(np.arange(len(texts)), [len(each) for each in texts])
    flat = [text for each in texts for text in each]
    return Source(
        name=str(folder),
        media=Files(found.paths, found.names, _kind(found.paths)),
        texts=flat or None,
        text_to_image=owner if flat else None,
        factors=factors,
        modality=_kind(found.paths),
        missing=tuple(found.missing),
        files=tuple(metadata.files),
        rule="img2dataset's folders with captions" if flat else "img2dataset's folders",
        notes=tuple(found.notes),
        unused=tuple(found.unused),
        unused_columns=further,
    )


def _all_captions(found: _Read, listed: Sequence[Any], *, only_listed: bool) -> Iterator[Any]:
    """The caption of each image, or None."""
    for path, row in zip(found.paths, found.rows, strict=True):
        text = path.with_suffix(".txt")
        if not only_listed and text.is_file():
            yield (
                read_file(text).decode("utf-8-sig", errors="replace")
                if text.stat().st_size
                else None
            )
            continue
        beside = path.with_suffix(".json")
        if not only_listed and row is None and beside.is_file():
            content = load_json(beside)
            yield content.get("caption") if isinstance(content, dict) else None
            continue
        yield listed[row] if row is not None and listed else None


def _kind(paths: Sequence[Path]) -> Any:
    sounds = sum(path.suffix.lower() in SOUNDS for path in paths)
    if 0 < sounds < len(paths):
        raise FileError(f"must hold images or sounds; found {len(paths) - sounds} and {sounds}")
    return "audio" if sounds else "image"


class _Factors(Mapping[str, Sequence[Any]]):
    """The columns of the metadata for each image."""

    def __init__(self, metadata: Metadata, rows: Sequence[int | None]) -> None:
        self.metadata, self.rows = metadata, rows
        self.names = [name for name, kind in metadata.types.items() if holds_factor(kind)]

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(name)
        values = self.metadata.values(name)
        return [None if row is None else values[row] for row in self.rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
