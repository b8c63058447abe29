"""Caltech-101: objects."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN, class_folders, folders_in, readable, zhou
from modalgap.data.dataset import DataCard
from modalgap.data.sets._shared import Placed, every_class
from modalgap.data.source import Source
from modalgap.errors import FileError

IMAGES = "101_ObjectCategories"
CLASSES = 101
NAMES = {
    "Faces": "off-center face",
    "Faces_easy": "centered face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "airplanes": "airplane",
}


class Caltech101(Placed):
    """All classes but BACKGROUND_Google.

    The splits are CoOp's, which exclude Faces_easy too; ``all`` has every image and 101 classes.
    """

    card = DataCard(
        name="caltech101",
        title="Caltech-101",
        task="classification",
        about="Pictures of objects, animals and faces from the web, 40 to 800 per class.",
        size="CoOp's test 2,465 images, train 4,128, val 1,649, of 100 classes; all 8,677 of 101",
        splits=("test", "train", "val", "all"),
        licence="CC BY 4.0",
        home="https://data.caltech.edu/records/mzrjq-6wc02",
        folder="caltech-101",
        layout=(
            "101_ObjectCategories/accordion/image_0001.jpg",
            "split_zhou_Caltech101.json (not for all)",
        ),
        templates=PLAIN,
        citation="Fei-Fei et al., Learning Generative Visual Models, CVPR workshop 2004",
    )
    folders = ("caltech101",)

    def needs(self, split: str) -> Sequence[str]:
        return (IMAGES,) if split == "all" else (IMAGES, "split_zhou_*.json")

    def read(self, folder: Path, split: str) -> Source:
        if split != "all":
            return zhou(folder, IMAGES, split)
        found = folders_in(folder / IMAGES)
        classes = [each.name for each in found if each.name != "BACKGROUND_Google"]
        if len(classes) != CLASSES:
            raise FileError(f"must hold {CLASSES} folders of classes; holds {len(classes)}")
        names = [NAMES.get(each) or readable(each) for each in classes]
        return every_class(class_folders(folder / IMAGES, classes, names))
