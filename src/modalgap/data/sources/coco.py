"""Read a COCO captions file: a JSON file of images and annotations, near a folder of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modalgap.data.names import image_folder
from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError


def is_coco(value: object) -> bool:
    """Whether a JSON value is a COCO captions file."""
    return isinstance(value, dict) and {"images", "annotations"} <= value.keys()


def read_coco(annotations: Path, images: Path | None = None) -> Source:
    """Read images in the order of the file, with their captions in the same order.

    Args:
        annotations: such as ``annotations/captions_val2017.json``.
        images: the folder of images; by default the folder from the file, or a folder near the
            file with the name of its split (``val2017``) or the name ``images``.

    Ids as numbers and as text are equal. ``missing`` lists captions of images that the file does
    not list, images listed twice, and nulls.

    Raises:
        FileError: another kind of file, or no folder of images.
    """
    content = load_json(annotations)
    if not is_coco(content):
        raise FileError(f"{annotations}: must hold 'images' and 'annotations'")
    missing: list[tuple[str, str]] = []
    captions: dict[str, list[str]] = {}
    with reading(str(annotations)):
        files: dict[str, str] = {}
        plain = _plain_ids(content["images"])
        for image in content["images"]:
            name, key = image["file_name"], _id(image["id"], plain=plain)
            if not isinstance(name, str) or not name.strip():
                missing.append((f"image {image['id']}", "no path"))
            elif key in files:
                missing.append((name, f"its id {image['id']} occurs twice"))
            else:
                files[key] = name
        for note in content["annotations"]:
            owner, called = _id(note["image_id"], plain=plain), f"caption {note.get('id')}"
            caption = note["caption"]
            if owner not in files:
                missing.append((called, f"its image {note['image_id']} is missing"))
            elif not isinstance(caption, str):
                missing.append((called, "is not a text"))
            else:
                captions.setdefault(owner, []).append(caption)
        folder, where = _folder(annotations, images, list(files.values()))
        rows = [(name, captions.get(key, [])) for key, name in files.items()]
        found = gather(str(annotations), folder, rows, missing=missing)
    return replace(found, rule="COCO captions", notes=(where,) if where else ())


def _plain_ids(images: Sequence[Mapping[str, Any]]) -> bool:
    """Whether ids stay distinct if "7", "007", 7 and 7.0 are equal."""
    ids = [image.get("id") for image in images]
    return len({_id(each, plain=True) for each in ids}) == len({str(each) for each in ids})


def _id(value: Any, *, plain: bool) -> str:
    text = str(value).strip()
    if not plain:
        return text
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _folder(annotations: Path, images: Path | None, names: list[str]) -> tuple[Path, str]:
    """The folder of the images, and a note if it was found by their names."""
    if images is not None:
        if not images.is_dir():
            raise FileError(f"--root must be a folder; found no {images}")
        return images, ""
    ending = annotations.stem.rpartition("_")[2]
    around = [annotations.parent, annotations.absolute().parent.parent]
    found, note = image_folder(around, names, (ending,))
    if found is not None:
        return found, note
    for folder in (each / name for each in around for name in (ending, "images")):
        if folder.is_dir():
            return folder, f"none of the first files is in {folder.name}/"
    raise FileError(f"needs the folder of its images, {ending} or images, next to it; use --root")
