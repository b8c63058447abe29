"""The ground truth of Revisited Oxford and Paris."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from modalgap.data.media import Box, Cropped, Files, read_file
from modalgap.data.plain_pickle import load_plain
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.errors import FileError

JUDGED = ("easy", "hard", "junk")
CITATION = (
    "Radenović et al., Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking,"
    " CVPR 2018"
)


def revisited(truth: Path, images: Path) -> Source:
    """Read all queries, cropped to their objects, and then all images to search.

    The factor ``role`` is "query" or "gallery"; ``easy``, ``hard`` and ``junk`` are JSON lists of
    names of gallery images. Positions would change if an image could not be read; names do not.

    Args:
        truth: ``gnd_*.pkl``.
        images: the folder of images.

    Raises:
        FileError: another kind of file, or invalid content.
    """
    with reading(str(truth)):
        content: Any = load_plain(read_file(truth))
        queries, gallery = (_names(content[key], key) for key in ("qimlist", "imlist"))
        notes = list(content["gnd"])
        if len(notes) != len(queries):
            raise FileError(
                f"gnd must have {len(queries)} entries, one per query; has {len(notes)}"
            )
        factors: dict[str, list[str]] = {
            key: [json.dumps(_judged(note[key], key, gallery)) for note in notes]
            + ["[]"] * len(gallery)
            for key in JUDGED
        }
        boxes = [_box(note["bbx"], name) for note, name in zip(notes, queries, strict=True)]
    files = Files(
        [images / name for name in (*queries, *gallery)],
        [*(f"query/{name}" for name in queries), *gallery],
    )
    role = ["query"] * len(queries) + ["gallery"] * len(gallery)
    media = Cropped(files, [*boxes, *([None] * len(gallery))])
    return Source(name="", media=media, factors={"role": role, **factors})


def _names(values: Any, key: str) -> list[str]:
    result = [f"{value}.jpg" for value in values]
    if not all(isinstance(value, str) for value in values):
        raise FileError(f"{key} must be strings; it is not")
    if len(set(result)) < len(result):
        twice = next(name for name in result if result.count(name) > 1)
        raise FileError(f"{key} must have each image once; {twice} occurs twice")
    return result


def _judged(values: Any, key: str, gallery: list[str]) -> list[str]:
    result = []
    for value in values:
        if value != int(value) or not 0 <= value < len(gallery):
            raise FileError(f"{key} must hold numbers in 0 … {len(gallery) - 1}; holds {value}")
        result.append(gallery[int(value)])
    return result


def _box(values: Any, name: str) -> Box:
    found = [float(value) for value in values]
    if len(found) != 4 or not all(map(math.isfinite, found)):
        raise FileError(f"{name}: bbx must be 4 finite numbers; found {found}")
    left, upper, right, lower = found
    return left, upper, right, lower
