"""SUN397: scenes."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN, labelled, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines
from modalgap.data.sets._shared import every_class
from modalgap.data.source import Source

_FILE = {"test": "Testing_01.txt", "train": "Training_01.txt"}


class SUN397(Dataset):
    """The first of the authors' ten partitions, or CoOp's split of it.

    The class name of ``/a/apartment_building/outdoor`` is "outdoor apartment building", as in CoOp.
    """

    card = DataCard(
        name="sun397",
        title="SUN397",
        task="classification",
        about="Photographs of scenes, indoors and outdoors.",
        size="test and train 19,850 images each (CoOp's train 15,880 and val 3,970); 397 classes",
        splits=("test", "train", "val"),
        licence="not stated",
        home="https://vision.princeton.edu/projects/2010/SUN/",
        folder="sun397",
        layout=("SUN397/a/abbey/sun_aaalbzqrimafwbiv.jpg", "Testing_01.txt", "ClassName.txt"),
        templates=PLAIN,
        citation="Xiao et al., SUN Database, CVPR 2010",
    )
    zhou_images = "SUN397"

    def needs(self, split: str) -> Sequence[str]:
        if split == "val":  # only CoOp has a val split
            return ("split_zhou_*.json",)
        return ("SUN397", _FILE[split])

    def read(self, folder: Path, split: str) -> Source:
        inside = folder / "SUN397" / "ClassName.txt"  # also in the folder of partitions
        classes = lines(inside if inside.exists() else folder / "ClassName.txt")
        images = lines(folder / _FILE[split])
        items = [(each.lstrip("/"), classes.index(each.rsplit("/", 1)[0])) for each in images]
        names = [readable(" ".join(reversed(each.split("/")[2:]))) for each in classes]
        return every_class(labelled(folder / "SUN397", items, names))
