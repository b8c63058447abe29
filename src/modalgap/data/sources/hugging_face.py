"""A Hugging Face data set on the disk, as ``save_to_disk`` writes it."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.data.classes import PLAIN, labelled_media, readable
from modalgap.data.columns import FIND, Columns
from modalgap.data.media import Cells, Kind, read_file
from modalgap.data.reading import fitting, reading
from modalgap.data.source import Source
from modalgap.data.sources.parquet import SEEN
from modalgap.data.sources.table import CAPTIONS, SAID
from modalgap.errors import FileError, OptionError
from modalgap.extras import library


def is_saved(folder: Path) -> bool:
    """Whether the folder holds a data set, or one per split."""
    return any((folder / name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))


def read_saved(
    folder: Path,
    split: str | None = None,
    columns: Columns = FIND,
) -> Source:
    """Images or sounds with captions (a string or a list of strings), or with class labels.

    Raises:
        OptionError: no such split.
        FileError: no column of images, sounds or texts.
        InputError: ``datasets`` is not installed.
    """
    datasets = library("datasets", "models", str(folder))
    with reading(str(folder)):
        found: Any = datasets.load_from_disk(str(folder))
        if isinstance(found, datasets.DatasetDict):
            if split is None and len(found) > 1:
                raise OptionError(f"split: this data set has {', '.join(found)}; say which")
            name = split or next(iter(found))
            if name not in found:
                raise OptionError.unknown("split", name, found)
            found = found[name]
        features = found.features
        media = [
            key
            for key, feature in features.items()
            if isinstance(feature, datasets.Image | datasets.Audio)
        ]
        types = {key: repr(feature) for key, feature in features.items()}
        images = fitting(types, media, (), columns.image, "images or sounds", SEEN)
        images = images or next(iter(media), None)
        texts = fitting(types, _texts(features), CAPTIONS, columns.text, "captions", SAID)
        if images is None and texts is None:
            raise FileError(f"must have images or texts; found {', '.join(features)}")
        said = [_list(value) for value in found[texts]] if texts is not None else None
        if images is None:
            return Source(name=str(folder), texts=[text for each in said or () for text in each])
        kind: Kind = "audio" if isinstance(features[images], datasets.Audio) else "image"
        raw = found.cast_column(images, type(features[images])(decode=False))
        names = [f"row {i}" for i in range(len(raw))]
        files = [Path(each["filename"]) for each in found.cache_files]
        cells = Cells(functools.partial(_cell, raw, images), names, kind, files)
        if said is not None:
            return Source(
                name=str(folder),
                media=cells,
                texts=[text for each in said for text in each],
                text_to_image=np.repeat(np.arange(len(raw)), [len(each) for each in said]),
                modality=kind,
            )
        label = next((k for k, v in features.items() if isinstance(v, datasets.ClassLabel)), None)
        if label is None:
            return Source(name=str(folder), media=cells, modality=kind)
        classes = [readable(each) for each in features[label].names]
        made = labelled_media(cells, list(found[label]), classes)
        return replace(made, name=str(folder), templates=PLAIN, modality=kind)


def _texts(features: Any) -> list[str]:
    def is_text(feature: Any) -> bool:
        inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
        return getattr(inner, "dtype", None) in ("string", "large_string")

    return [name for name, feature in features.items() if is_text(feature)]


def _list(value: Any) -> list[str]:
    several = value if isinstance(value, list) else [value]
    return [str(each) for each in several if each is not None]


def _cell(found: Any, name: str, position: int) -> bytes:
    value = found[position][name]
    if value.get("bytes") is not None:
        return bytes(value["bytes"])
    if value.get("path"):
        return read_file(Path(value["path"]))
    raise FileError("holds neither bytes nor a path")
