"""Flowers-102: flowers of Britain."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled
from modalgap.data.dataset import DataCard
from modalgap.data.sets._shared import Placed, every_class, listed, matlab, whole
from modalgap.data.source import Source
from modalgap.errors import FileError

PART = {"test": "tstid", "train": "trnid", "val": "valid"}


class Flowers102(Placed):
    """The authors' split, or CoOp's, which differs. The names are those in CLIP's paper."""

    card = DataCard(
        name="flowers102",
        title="Oxford Flowers-102",
        task="classification",
        about="Photographs of flowers that are common in Britain.",
        size="test 6,149 images, train and val 1,020 each (CoOp's 2,463, 4,093 and 1,633);"
        " 102 classes",
        splits=("test", "train", "val"),
        licence="not stated",
        home="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        folder="oxford_flowers",
        layout=("jpg/image_00001.jpg", "imagelabels.mat", "setid.mat"),
        templates=("a photo of a {}, a type of flower.",),
        citation="Nilsback and Zisserman, Automated Flower Classification, ICVGIP 2008",
    )
    zhou_images = "jpg"
    folders = ("flowers-102",)

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - all need the same
        return ("jpg", "imagelabels.mat", "setid.mat")

    def read(self, folder: Path, split: str) -> Source:
        labels = whole(matlab(folder / "imagelabels.mat")["labels"], "labels")
        chosen = whole(matlab(folder / "setid.mat")[PART[split]], PART[split])
        if chosen.min() < 1 or chosen.max() > len(labels):
            raise FileError(f"{PART[split]} must be in 1 … {len(labels)}, the number of labels")
        items = [(f"image_{i:05d}.jpg", int(labels[i - 1]) - 1) for i in chosen.tolist()]
        return every_class(labelled(folder / "jpg", items, listed("flowers102.txt")))
