"""A COCO captions file: one JSON of images and annotations, beside a folder of images."""

from __future__ import annotations

from pathlib import Path

from modalgap.data.reading import load_json, reading
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError


def is_coco(value: object) -> bool:
    """Whether a JSON value is a COCO captions file."""
    return isinstance(value, dict) and {"images", "annotations"} <= value.keys()


def read_coco(annotations: Path, images: Path | None = None) -> Source:
    """Images in the order of the file, each with its captions in theirs.

    Args:
        annotations: such as ``annotations/captions_val2017.json``.
        images: the folder of images; by default the file's own, or the one whose name ends the
            file's (``val2017``) or that is called ``images``, beside the file or its folder.

    Captions of images that the file does not list, and images listed twice, go to ``missing``.

    Raises:
        FileError: not such a file, or no folder of images.
    """
    content = load_json(annotations)
    if not is_coco(content):
        raise FileError(f"{annotations}: must hold 'images' and 'annotations'")
    missing: list[tuple[str, str]] = []
    captions: dict[object, list[str]] = {}
    with reading(str(annotations)):
        files: dict[object, str] = {}
        for image in content["images"]:
            name = str(image["file_name"])
            if image["id"] in files:
                missing.append((name, f"its id {image['id']} is there twice"))
                continue
            files[image["id"]] = name
        for note in content["annotations"]:
            owner = note["image_id"]
            if owner not in files:
                missing.append((f"caption {note.get('id')}", f"of image {owner}, which is missing"))
                continue
            if not isinstance(note["caption"], str):
                missing.append((f"caption {note.get('id')}", "is not a text"))
                continue
            captions.setdefault(owner, []).append(note["caption"])
    if images is not None and not images.is_dir():
        raise FileError(f"{annotations}: --root must be a folder; found no {images}")
    folder = images or _image_folder(annotations, list(files.values())[:20])
    rows = [(name, captions.get(id_, [])) for id_, name in files.items()]
    return gather(str(annotations), folder, rows, missing=missing)


def _image_folder(annotations: Path, names: list[str]) -> Path:
    """The first folder that holds one of the images ``names``, or that is there at all."""
    ending = annotations.stem.rpartition("_")[2]
    around = (annotations.parent, annotations.parent.parent)
    named = [each / name for each in around for name in (ending, "images")]
    with reading(str(annotations)):
        for folder in (annotations.parent, *named):
            if any((folder / name).is_file() for name in names):
                return folder
        for folder in named:
            if folder.is_dir():
                return folder
    raise FileError(
        f"{annotations}: needs the folder of its images, {ending} or images, beside it; give --root"
    )
