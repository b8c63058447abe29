"""Features of the cells: encoded, reused by later runs, removed if the disk has no room.

The features of a cell are one file, or shards of one if it is large, with a list of skipped items
and the remarks of encoding next to them. All their names begin with the name of the cell.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modalgap.atomic import replacing
from modalgap.data import Source, read
from modalgap.embeddings.store import load_any
from modalgap.encode import Encoder, Options
from modalgap.encode import run as encode
from modalgap.errors import FileError, OutputError
from modalgap.work import path_of, remove
from modalgap.zoo.cells import Cell
from modalgap.zoo.settings import Settings

EMBEDDINGS = "embeddings"  # the folder of features
FLOAT = 4  # bytes of a number in fp32
TWICE = 2  # rows are in the parts and in the final file for a moment
NAME = re.compile(r".*--[0-9a-f]{12}(?=[.-])")  # the name of a cell, before the rest


def features(
    cell: Cell, encoder: Encoder, folder: Path, settings: Settings
) -> tuple[Any, list[str]]:
    """The features of a cell, those of an earlier run or encoded now, and remarks about them.

    Raises:
        OutputError: they do not fit on the disk, or into the limit of the settings.
        ModalgapError: the data cannot be read or encoded.
    """
    target = _target(cell, folder, settings)
    data = _stored(target)
    if data is None:
        return _encoded(cell, encoder, target, settings)
    try:
        return data, [*json.loads(_remarks(target).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError):  # they are no part of the results
        return data, []


def stored(folder: Path) -> dict[str, list[Path]]:
    """The features in the folder of a zoo: the name of each cell to its files.

    Unfinished features are left out.

    Raises:
        FileError: the folder has no features.
    """
    there = folder / EMBEDDINGS
    paths = sorted(there.glob("*.safetensors")) if there.is_dir() else []
    unfinished = {_cell_of(path) for path in there.glob("*") if path.is_dir()}
    found: dict[str, list[Path]] = {}
    for path in paths:
        if (name := _cell_of(path)) not in unfinished:
            found.setdefault(name, []).append(path)
    if not found:
        raise FileError(f"{folder}: must have features of a zoo in {EMBEDDINGS}; found none")
    return found


def discard(cell: Cell, folder: Path, settings: Settings) -> None:
    """Remove the features of a cell, and parts of them."""
    target = _target(cell, folder, settings)
    _remove(path for path in target.parent.iterdir() if _cell_of(path) == target.stem)


def _target(cell: Cell, folder: Path, settings: Settings) -> Path:
    return folder / EMBEDDINGS / f"{cell.file(settings.of_features)}.safetensors"


def _remarks(target: Path) -> Path:
    return target.with_name(f"{target.name}.remarks.json")


def _cell_of(path: Path) -> str:
    """The name of the cell that a file belongs to."""
    found = NAME.match(path.name)
    return found[0] if found else path.name


def _stored(target: Path) -> Any | None:
    """The features of an earlier run; None if there are none, or they are not complete."""
    there = sorted(target.parent.glob(f"{target.stem}*.safetensors"))
    if not there or path_of(target).exists():
        return None
    try:
        return load_any(list(there))
    except FileError:  # damaged
        return None


def _encoded(
    cell: Cell, encoder: Encoder, target: Path, settings: Settings
) -> tuple[Any, list[str]]:
    source = read(cell.data, **cell.reading(settings.seed))
    make_room(target, _bytes(source, encoder), settings.disk)
    options = Options(
        template=cell.template,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
        workers=settings.workers,
        overwrite=True,
    )
    done = encode(source, encoder, target, options, seed=settings.seed)
    remarks = [*done.notes]
    if done.skipped:
        remarks.append(f"{len(done.skipped)} items were skipped; the first: {done.skipped[0][1]}")
    if done.cut:
        remarks.append(f"{done.cut} texts were longer than the model's context and lost their end")
    _remarks(target).unlink(missing_ok=True)
    if remarks:
        with replacing(_remarks(target), overwrite=True) as file:
            file.write(json.dumps(remarks).encode())
    return done.data, remarks


def _bytes(source: Source, encoder: Encoder) -> int:
    """Bytes that the features need while they are written."""
    rows = (0 if source.media is None else len(source.media)) + len(source.texts or ())
    return rows * encoder.dim * FLOAT * TWICE


def make_room(target: Path, needed: int, limit: float | None) -> None:
    """Remove the features of the cells that were encoded first until ``needed`` bytes fit.

    Results are kept. What an earlier run wrote for ``target`` is counted in ``needed``.

    Raises:
        OutputError: they do not fit on the disk, or into the limit.
    """
    folder = target.parent
    free = shutil.disk_usage(folder).free + _size(path_of(target))
    if needed > free:
        raise OutputError(
            f"{folder}: the features need about {needed / 1e9:.2f} GB; {free / 1e9:.2f} GB are free"
        )
    if limit is None:
        return
    if needed > limit:
        raise OutputError(
            f"disk must hold the features of one cell, about {needed / 1e9:.2f} GB; got"
            f" {limit / 1e9:.2f} GB"
        )
    cells: dict[str, list[Path]] = {}  # shards are removed together
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
        cells.setdefault(_cell_of(path), []).append(path)
    cells.pop(target.stem, None)
    used = sum(_size(path) for paths in cells.values() for path in paths)
    for paths in cells.values():
        if used + needed <= limit:
            return
        used -= sum(map(_size, paths))
        _remove(paths)


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder; 0 if it does not exist."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            remove(path)
        else:
            path.unlink(missing_ok=True)
