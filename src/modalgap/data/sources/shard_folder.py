"""Read folders of shards: tar, Parquet or Arrow files in the folder or in its folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.data.columns import Columns
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.data.sources import hub
from modalgap.data.sources.benchmark import CLASSES, NUMBER, TEMPLATES, TYPE, check_number
from modalgap.data.sources.hugging_face import read_arrow
from modalgap.data.sources.img2dataset import Metadata, failed, is_metadata
from modalgap.data.sources.parquet import read_parquet
from modalgap.data.sources.shards import number_of
from modalgap.data.sources.typed import holds_bytes
from modalgap.data.sources.webdataset import read_members
from modalgap.errors import FileError

BENCHMARK = (TYPE, CLASSES, TEMPLATES, NUMBER)
ABOUT = ("README.md", "emoji.json")  # files that describe the shards


def read_shard_folder(folder: Path, split: str | None, columns: Columns) -> Source | None:
    """Read the shards of a folder; None if it has none, or if they are metadata of images.

    Args:
        folder: a folder of shards, a snapshot of the Hugging Face hub, or one in its cache.
        split: SPLIT or CONFIG/SPLIT, or several joined by "+".
        columns: the columns to read.

    Raises:
        OptionError: there are several splits or configs and none is selected.
        FileError: an error of the readers of the shards.
    """
    root = hub.snapshot(folder)
    tree = hub.shelve(root)
    shards, spare = _kind(root, tree)
    if not shards:
        gone = [each for each in tree.lost if Path(each[0]).suffix.lower() in hub.KINDS]
        if gone and not tree.media:
            raise FileError(f"{root}: needs {gone[0][0]}: it is {gone[0][1]}")
        packed = [path for path in tree.other if path.name.lower().endswith(hub.ARCHIVES)]
        if packed and not tree.media:
            name = packed[0].relative_to(root)
            raise FileError(f"{root}: {name} is a compressed archive; unpack it to read it")
        return None
    with reading(str(folder)):
        chosen = hub.choose(root, shards, tree, split)
        ending = shards[0].suffix.lower()
        used = [path for path in tree.other if path in [root / name for name in ABOUT]]
        partners: list[Path] = []
        if ending == ".tar":
            folders = {path.parent for path in chosen.files}
            used += check_number([path for path in shards if path.parent in folders])
            used += [path for path in tree.other if path.name in BENCHMARK]
            partners = [path for path in spare if path.parent in folders and is_metadata(path)]
        unused = [
            (str(path.relative_to(root)), "Parquet beside tar shards")
            for path in spare
            if path not in partners and path.suffix.lower() == ".parquet"
        ]
        unused += [
            (str(path.relative_to(root)), "a cache of datasets")
            for path in spare
            if path.suffix.lower() == ".arrow"
        ]
    if ending == ".tar":
        found = _tar(chosen.files, partners, str(folder), columns)
    elif ending == ".parquet":
        found = read_parquet(chosen.files, str(folder), columns)
    else:
        found = read_arrow(chosen.files, str(folder), columns)
    provenance = {"split": chosen.split} if chosen.split else {}
    return replace(
        found,
        files=(*found.files, *chosen.files, *used),
        notes=(*chosen.notes, *found.notes),
        missing=(*chosen.missing, *found.missing),
        unused=(*chosen.unused, *unused, *hub.beside(root, tree, used), *found.unused),
        provenance={**found.provenance, **provenance},
    )


def _kind(root: Path, tree: hub.Tree) -> tuple[list[Path], list[Path]]:
    """The shards to read, all of one kind, and the other files that could be shards."""
    tars = [path for path in tree.shards if path.suffix.lower() == ".tar"]
    parquet = [path for path in tree.shards if path.suffix.lower() == ".parquet"]
    arrow = [path for path in tree.shards if path.suffix.lower() == ".arrow"]
    caches = [path for path in arrow if path.name.startswith("cache-")]
    if tree.media and not _shards_win(root, tree, tars, parquet):
        return [], []
    if tars:
        with_bytes = [path for path in parquet if _any_bytes([path])]
        if with_bytes:
            first, second = tars[0].relative_to(root), with_bytes[0].relative_to(root)
            raise FileError(
                f"{root}: must hold tar shards or Parquet with images; found {first} and {second}:"
                " use a pattern that matches one kind"
            )
        return tars, [*parquet, *arrow]
    if parquet:
        return parquet, arrow
    return [path for path in arrow if path not in caches], caches


def _shards_win(root: Path, tree: hub.Tree, tars: Sequence[Path], parquet: Sequence[Path]) -> bool:
    """Whether shards are the data, and images in the tree are not: they are in other folders."""
    if not tars and not _any_bytes(parquet):
        return False
    with_images = {folder for path in tree.media for folder in path.parents}
    return any(
        path.parent in (root, root / "data") or path.parent not in with_images
        for path in (*tars, *parquet)
    )


def _any_bytes(paths: Sequence[Path]) -> bool:
    """Whether one of the files has a column of bytes."""
    for path in paths:
        try:
            if any(holds_bytes(kind) for kind in pq.read_schema(path).types):
                return True
        except (OSError, pa.ArrowException):
            continue
    return False


def _tar(shards: Sequence[Path], partners: Sequence[Path], name: str, columns: Columns) -> Source:
    """Read tar shards, with the rows that img2dataset's Parquet files list as failed."""
    result, keys = read_members(shards, name, columns)
    if not partners:
        return result
    with reading(name):
        numbers = {(path.parent, number_of(path)) for path in shards}
        beside = {(path.parent, number_of(path)) for path in partners}
        missing = [
            (path.name, f"no {path.stem}.tar beside it")
            for path in partners
            if (path.parent, number_of(path)) not in numbers
        ]
        alone = [path.name for path in shards if (path.parent, number_of(path)) not in beside]
        there = {key.rpartition("/")[2] for each in keys.values() for key in each}
        missing += failed(Metadata(partners), there)
    notes = [f"no Parquet of metadata beside {', '.join(alone[:3])}"] if alone else []
    return replace(
        result,
        missing=(*result.missing, *missing),
        notes=(*result.notes, *notes),
        files=(*result.files, *partners),
    )
