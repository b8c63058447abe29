"""Read a Hugging Face data set on disk: from ``save_to_disk``, or Arrow files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modalgap.data.columns import FIND, Columns
from modalgap.data.media import Cells, Kind, Media
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.data.sources.arrow import read_typed
from modalgap.data.sources.arrow_sizes import check_arrow, check_saved
from modalgap.data.sources.parquet import item_bytes
from modalgap.data.sources.shards import absent, check_whole
from modalgap.data.sources.typed import Fits, Typed, features_of, null_cells
from modalgap.errors import FileError, OptionError, quoted
from modalgap.extras import import_extra

BATCH = 1000  # rows per batch of the search for nulls


def is_saved(folder: Path) -> bool:
    """Whether the folder holds a saved data set, or one per split."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()
    )


def read_saved(folder: Path, split: str | None = None, columns: Columns = FIND) -> Source:
    """Read images or sounds with captions, or with class labels.

    Raises:
        OptionError: the split does not exist.
        FileError: no column of images, sounds or texts, or a file of the data set is missing.
        InputError: ``datasets`` is not installed.
    """
    with reading(str(folder)):
        saved = saved_table(folder, split)
        made = read_typed(saved.table, columns, "saved Hugging Face data set")
        return replace(made, notes=(*saved.notes, *made.notes), provenance=saved.provenance)


@dataclass(frozen=True)
class SavedTable:
    """One split of a saved data set.

    Attributes:
        table: its rows.
        notes: a message about a split that is the only one.
        provenance: the split.
    """

    table: Typed
    notes: tuple[str, ...]
    provenance: dict[str, str]


def saved_table(folder: Path, split: str | None) -> SavedTable:
    """The rows of one split of a saved data set, or of several joined by "+".

    Raises:
        OptionError: the split does not exist.
        InputError: ``datasets`` is not installed.
    """
    datasets = import_extra("datasets", "models", str(folder))
    check_saved(folder)
    found: Any = datasets.load_from_disk(str(folder))
    notes: tuple[str, ...] = ()
    provenance: dict[str, str] = {}
    if isinstance(found, datasets.DatasetDict):
        if split is None and len(found) > 1:
            raise OptionError(f"--split: {folder} holds {', '.join(found)}; select one")
        names = [split or next(iter(found))]
        if split is not None and split not in found:
            names = split.split("+")
        for name in names:
            if name not in found:
                raise OptionError.unknown("split", name, found)
        if split is None:
            notes = (f"split {names[0]} is the only one",)
        parts = [found[name] for name in names]
        found = parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts)
        provenance = {"split": split or names[0]}
    elif split is not None:
        raise OptionError(f"--split: {folder} has none; got {quoted(split)}")
    return SavedTable(_Saved(found, str(folder)), notes, provenance)


def read_arrow(files: Sequence[Path], name: str, columns: Columns = FIND) -> Source:
    """Read Arrow files from the cache of ``datasets``, as one table.

    Raises:
        FileError: a file is incomplete, or an error as in ``read_saved``.
        InputError: ``datasets`` is not installed.
    """
    datasets = import_extra("datasets", "models", name)
    with reading(name):
        check_whole(files)
        parts = []
        for path in files:
            with reading(str(path)):
                check_arrow(path)
                parts.append(datasets.Dataset.from_file(str(path)))
        found = parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts)
        made = read_typed(_Saved(found, name), columns, "Arrow")
        lost, notes = absent(files) if name != str(files[0]) else ([], [])
        return replace(made, missing=(*lost, *made.missing), notes=(*notes, *made.notes))


class _Saved:
    """A data set of the ``datasets`` library as a table of typed columns."""

    def __init__(self, data: Any, name: str) -> None:
        self.data, self.name = data.with_format("arrow"), name
        schema = data.features.arrow_schema
        self.types = {field.name: field.type for field in schema}
        self.features = features_of(schema.metadata)
        self.files = [Path(each["filename"]) for each in data.cache_files]

    def __len__(self) -> int:
        return len(self.data)

    def values(self, column: str) -> list[Any]:
        result: list[Any] = []
        for table in self.data.select_columns([column]).iter(BATCH):
            result += table.column(column).to_pylist()
        return result

    def cells(self, column: str, names: Sequence[str], kind: Kind) -> Media:
        read = functools.partial(_cell, self.data.select_columns([column]), column, self._folder())
        return Cells(read, names, kind, self.files)

    def nulls(self, column: str) -> NDArray[np.int64]:
        masks = [
            null_cells(chunk)
            for table in self.data.select_columns([column]).iter(BATCH)
            for chunk in table.column(column).chunks
        ]
        return np.flatnonzero(np.concatenate(masks)) if masks else np.empty(0, np.int64)

    def check(self, column: str, fits: Fits, what: str) -> None:
        kind = self.types[column]
        if not pa.types.is_null(kind) and not fits(kind):
            raise FileError(f"column {quoted(column)} must hold {what}; it is {kind}")

    def _folder(self) -> Path:
        return self.files[0].parent if self.files else Path()


def _cell(data: Any, name: str, folder: Path, position: int) -> bytes:
    return item_bytes(data[position].column(name)[0].as_py(), folder)
