"""Oxford-IIIT Pets: breeds of cats and dogs."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled
from modalgap.data.dataset import DataCard
from modalgap.data.reading import lines
from modalgap.data.sets._shared import Placed, every_class
from modalgap.data.source import Source
from modalgap.errors import FileError


class OxfordPets(Placed):
    """The authors' split, with trainval as train, or CoOp's."""

    card = DataCard(
        name="oxford-pets",
        title="Oxford-IIIT Pets",
        task="classification",
        about="Photographs of 12 breeds of cats and 25 of dogs.",
        size="test 3,669 images, train 3,680 (CoOp's 2,944 and val 736); 37 classes",
        splits=("test", "train", "val"),
        licence="CC BY-SA 4.0",
        home="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        folder="oxford_pets",
        layout=("images/Abyssinian_1.jpg", "annotations/test.txt", "annotations/trainval.txt"),
        templates=("a photo of a {}, a type of pet.",),
        citation="Parkhi et al., Cats and Dogs, CVPR 2012",
    )
    zhou_images = "images"
    folders = ("oxford-iiit-pet",)

    def needs(self, split: str) -> Sequence[str]:
        if split == "val":  # only CoOp has a val split
            return ("split_zhou_*.json",)
        return ("images", f"annotations/{_FILE[split]}")

    def read(self, folder: Path, split: str) -> Source:
        items: list[tuple[str, int]] = []
        breeds: dict[int, str] = {}
        for line in lines(folder / "annotations" / _FILE[split]):
            name, label, _, _ = line.split()
            number, breed = int(label) - 1, name.rsplit("_", 1)[0]
            if breeds.setdefault(number, breed) != breed:
                raise FileError(f"class {label} must be one breed; is {breeds[number]} and {breed}")
            items.append((f"{name}.jpg", number))
        if sorted(breeds) != list(range(len(breeds))):
            raise FileError(f"classes must be 1 … {len(breeds)}; some number has no image")
        names = [breeds[number].replace("_", " ").title() for number in sorted(breeds)]
        return every_class(labelled(folder / "images", items, names))


_FILE = {"test": "test.txt", "train": "trainval.txt"}
