"""CUB-200-2011: birds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modalgap.data.classes import labelled, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines, reading
from modalgap.data.source import Source
from modalgap.errors import FileError

_TABLES = ("images", "image_class_labels", "classes", "train_test_split")
_SEEN = 100  # number of training classes in metric learning; the others are the test classes


class CUB(Dataset):
    """The authors' split, and that of metric learning: classes 101 to 200."""

    card = DataCard(
        name="cub",
        title="Caltech-UCSD Birds-200-2011",
        task="retrieval",
        about="Photographs of 200 species of birds.",
        size="test 5,794 images, train 5,994, all 11,788; 200 classes; retrieval-test 5,924 images"
        " of 100 classes",
        splits=("test", "all", "train", "retrieval-test"),
        licence="not stated",
        home="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        folder="CUB_200_2011",
        layout=(
            *(f"{name}.txt" for name in _TABLES),
            "images/001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.jpg",
        ),
        templates=("a photo of a {}, a type of bird.",),
        citation="Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001, 2011",
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - all need the same
        return (*(f"{name}.txt" for name in _TABLES), "images")

    def read(self, folder: Path, split: str) -> Source:
        images, owner, classes, training = (_table(folder / f"{name}.txt") for name in _TABLES)
        for name, table in (("image_class_labels", owner), ("train_test_split", training)):
            if odd := sorted(table.keys() ^ images.keys()):
                raise FileError(f"{name}.txt must list the images of images.txt; {odd[0]} differs")
        chosen = [each for each in sorted(classes) if split != "retrieval-test" or each > _SEEN]
        number = {each: i for i, each in enumerate(chosen)}
        names = [readable(classes[each].partition(".")[2]) for each in chosen]
        items = []
        for image, path in images.items():
            label = int(owner[image])
            if label not in classes:
                raise FileError(f"image {image}: its class {label} must be in classes.txt")
            if training[image] not in ("0", "1"):
                raise FileError(f"image {image}: must be 0 or 1 in train_test_split.txt")
            part = "train" if training[image] == "1" else "test"
            if label in number and split in ("all", "retrieval-test", part):
                items.append((path, number[label]))
        found = labelled(folder / "images", items, names)
        return replace(found, factors={"class": [names[label] for _, label in items]})


def _table(path: Path) -> dict[int, str]:
    """Lines of a number and its value."""
    result: dict[int, str] = {}
    with reading(str(path)):
        for line in lines(path):
            number, _, value = line.partition(" ")
            if int(number) in result:
                raise FileError(f"{number} must occur once; occurs twice")
            if not value:
                raise FileError(f"{number} must have a value after it; has none")
            result[int(number)] = value
    return result
