"""Read Karpathy's ``dataset_*.json``: images with their split and sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.data.columns import Columns
from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.sources.table import place_of, source_of
from modalgap.data.tables import Table
from modalgap.errors import FileError

FILE, SENTENCES, SPLIT = "filename", "sentences", "split"


def is_karpathy(value: object) -> bool:
    """Whether a JSON value is a file of Karpathy."""
    images = value.get("images") if isinstance(value, dict) else None
    return (
        isinstance(images, list)
        and bool(images)
        and all(isinstance(each, dict) and SENTENCES in each for each in images[:10])
    )


def karpathy_table(content: Any) -> Table:
    """One row per image: file name, list of captions, split, and further fields.

    Raises:
        FileError: an image occurs twice, or has sentences of another image.
        KeyError: a field is missing.
    """
    ids: set[Any] = set()
    names: list[str] = []
    rows: dict[str, list[Any]] = {SENTENCES: [], SPLIT: []}
    further = [key for key in content["images"][0] if _is_further(key)] if content["images"] else []
    rows |= {key: [] for key in further}
    for image in content["images"]:
        parts = (image.get("filepath"), image["filename"])
        name = "/".join(str(part) for part in parts if part)
        texts = [each["raw"] for each in image[SENTENCES]]
        own = image.get("imgid")
        for each in image[SENTENCES]:
            if each.get("imgid", own) != own:
                raise FileError(f"{name}: has a sentence of image {each['imgid']}")
        if len(image.get("sentids", texts)) != len(texts):
            raise FileError(f"{name}: must have as many sentences as sentence ids; it does not")
        if own is not None and own in ids:
            raise FileError(f"{name}: its id {own} occurs twice")
        ids.add(own)
        names.append(name)
        rows[SENTENCES].append(texts)
        rows[SPLIT].append(image[SPLIT])
        for key in further:
            rows[key].append(image.get(key))
    return Table({FILE: names, **rows}, list(names))


def _is_further(key: str) -> bool:
    return key not in (FILE, SENTENCES, SPLIT, "filepath", "sentids", "imgid")


def read_karpathy(path: Path, root: Path | None, columns: Columns, split: str | None) -> Source:
    """Read the images of one split with their captions.

    Args:
        path: the file.
        root: the folder of the images; by default a folder near the file.
        columns: which further fields to read as factors.
        split: train, restval, val or test; several separated by commas, or all.

    Raises:
        FileError: another kind of file.
        OptionError: several splits and none is selected, or the split does not exist.
    """
    with reading(str(path)):
        table = karpathy_table(load_json(path))
        wanted = Columns(image=FILE, text=SENTENCES, factors=columns.factors)
        return source_of(str(path), table, wanted, split, place_of(path, root, above=True))
