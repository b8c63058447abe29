"""Images of an object with an attribute, in the splits of Purushwalkam et al. (2019)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modalgap.data.classes import labelled_media, readable
from modalgap.data.media import Files
from modalgap.data.reading import lines, reading
from modalgap.data.source import Source
from modalgap.errors import FileError, quoted

METADATA = "metadata_compositional-split-natural.t7"
PAIRS = "compositional-split-natural"
Pair = tuple[str, str]  # attribute, object


def compositions(folder: Path, split: str) -> Source:
    """Read one split: every pair of attribute and object in its list is a class.

    The factors "attribute" and "object" hold the words of class prompts, as in Schrodi et al. 2025.
    Images without an attribute, and those of other splits, are excluded, as usual.

    Args:
        folder: the folder of the data set.
        split: train, val or test.
    """
    pairs = _pairs(folder / PAIRS / f"{split}_pairs.txt")
    number = {pair: i for i, pair in enumerate(pairs)}
    names: list[str] = []
    labels: list[int] = []
    missing: list[tuple[str, str]] = []
    seen: set[str] = set()
    for image, pair in _images(folder / METADATA, split):
        if image in seen:
            missing.append((image, "occurs twice"))
        elif pair not in number:
            missing.append((image, f"its pair, {' '.join(pair)}, is not in {split}_pairs.txt"))
        else:
            names.append(image)
            labels.append(number[pair])
        seen.add(image)
    found = labelled_media(
        Files(_paths(folder / "images", names), names),
        labels,
        [f"{_words(attribute)} {_thing(thing)}" for attribute, thing in pairs],
    )
    attributes = [_words(attribute) for attribute, _ in pairs]
    objects = [_thing(thing) for _, thing in pairs]
    return replace(
        found,
        factors={
            "attribute": [attributes[label] for label in labels],
            "object": [objects[label] for label in labels],
        },
        text_factors={"attribute": attributes, "object": objects},
        missing=tuple(missing),
    )


def _words(name: str) -> str:
    """A name as words: "Faux.Fur" is "faux fur"."""
    return readable(name.replace(".", " ")).lower()


def _thing(name: str) -> str:
    """An object as words; the general word is last: "Boots.Ankle" is "ankle boots"."""
    general, *rest = name.split(".")
    return _words(" ".join(rest if rest[-1:] == [general] else [*rest, general]))


def _pairs(path: Path) -> list[Pair]:
    found: list[Pair] = []
    with reading(str(path)):
        for line in lines(path):
            attribute, thing = line.split()
            if (attribute, thing) in found:
                raise FileError(f"{quoted(line)} must occur once; occurs twice")
            found.append((attribute, thing))
        if not found:
            raise FileError("must list pairs of attribute and object; found none")
    return found


def _images(path: Path, split: str) -> list[tuple[str, Pair]]:
    """Path and pair of each image; the file is a list of dicts from torch.save."""
    import torch

    with reading(str(path)):
        found = []
        for item in torch.load(path, map_location="cpu", weights_only=True):
            name, attribute, thing = (item[key] for key in ("image", "attr", "obj"))
            if item["set"] != split or attribute == "NA":
                continue
            for value in (name, attribute, thing):
                if not isinstance(value, str):
                    raise FileError(f"image, attr and obj must be strings; found {quoted(value)}")
            found.append((name, (attribute, thing)))
    return found


def _paths(images: Path, names: list[str]) -> list[Path]:
    """The paths of the images: the list has ``sliced_apple/``, MIT-States ``sliced apple/``."""
    folders = {name.rpartition("/")[0] for name in names}
    spaced = {
        each: each if (images / each).is_dir() else each.replace("_", " ") for each in folders
    }
    return [images / spaced[name.rpartition("/")[0]] / name.rpartition("/")[2] for name in names]
