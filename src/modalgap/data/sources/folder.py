"""Folders: of classes, of images beside .txt captions, or of images alone; sounds likewise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modalgap.data.classes import PLAIN, class_folders, files_under
from modalgap.data.media import IMAGES, SOUNDS, Files, Kind
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError


def read_folder(folder: Path) -> Source:
    """The images of a folder, and what its layout says of them.

    Files beside ``.txt`` of the same name have each of its lines as a caption; otherwise the
    folders directly under this one are classes, if every file lies in one and there are two.

    Raises:
        FileError: no images and no sounds, or both.
    """
    with reading(str(folder)):
        images, sounds = files_under(folder, IMAGES), files_under(folder, SOUNDS)
    if images and sounds:
        raise FileError(
            f"{folder}: must hold images or sounds; found {len(images)} and {len(sounds)}"
        )
    files = images or sounds
    kind: Kind = "image" if images else "audio"
    if not files:
        raise FileError(
            f"{folder}: must hold images, sounds, tar shards, Parquet or a Hugging Face data set;"
            " found none"
        )
    captions = {path.with_suffix(""): path for path in files_under(folder, frozenset({".txt"}))}
    stems = {path.with_suffix("") for path in files}
    if captions.keys() & stems:
        return _captioned(folder, files, captions, kind)
    firsts = {path.relative_to(folder).parts[0] for path in files}
    flat = any(len(path.relative_to(folder).parts) == 1 for path in files)
    if not flat and len(firsts) > 1:
        endings = IMAGES if images else SOUNDS
        found = class_folders(folder, classes=sorted(firsts), endings=endings)
        if sounds:
            assert isinstance(found.media, Files)  # noqa: S101 - as class_folders makes it
            found = replace(found, media=replace(found.media, kind="audio"))
        return replace(found, name=str(folder), templates=PLAIN, modality=kind)
    names = [str(path.relative_to(folder)) for path in files]
    return Source(name=str(folder), media=Files(files, names, kind), modality=kind)


def _captioned(folder: Path, files: list[Path], captions: dict[Path, Path], kind: Kind) -> Source:
    """Images beside .txt; a caption without its image is listed as missing."""
    rows = []
    missing = []
    left = dict(captions)
    for path in files:
        name = str(path.relative_to(folder))
        text = captions.get(path.with_suffix(""))
        if text is None:
            missing.append((name, "no caption beside it"))
            continue
        left.pop(path.with_suffix(""), None)
        said = [line.strip() for line in _text(text).splitlines() if line.strip()]
        if said:
            rows.append((name, said))
        else:
            missing.append((name, "an empty caption"))
    alone = [str(each.relative_to(folder)) for each in left.values()]
    missing += [(name, "a caption without a file") for name in alone]
    return gather(str(folder), folder, rows, kind=kind, missing=missing)


def _text(path: Path) -> str:
    with reading(str(path)):
        return path.read_text(encoding="utf-8-sig", errors="replace")
