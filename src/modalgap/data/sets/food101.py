"""Food-101: dishes."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines, load_json
from modalgap.data.sets._shared import every_class
from modalgap.data.source import Source


class Food101(Dataset):
    """The authors' split, or CoOp's if the folder has split_zhou_Food101.json."""

    card = DataCard(
        name="food101",
        title="Food-101",
        task="classification",
        about="Photographs of dishes; some training labels are wrong.",
        size="test 25,250 images, train 75,750 (CoOp's 30,300, 50,500 and val 20,200); 101 classes",
        splits=("test", "train", "val"),
        licence="images of Foodspotting's users; scientific fair use only",
        home="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        folder="food-101",
        layout=("images/apple_pie/1005649.jpg", "meta/test.json", "meta/classes.txt"),
        templates=("a photo of {}, a type of food.",),
        citation="Bossard et al., Food-101: Mining Discriminative Components, ECCV 2014",
    )
    zhou_images = "images"

    def needs(self, split: str) -> Sequence[str]:
        if split == "val":  # only CoOp has a val split
            return ("split_zhou_*.json",)
        return ("images", f"meta/{split}.json", "meta/classes.txt")

    def read(self, folder: Path, split: str) -> Source:
        classes = lines(folder / "meta" / "classes.txt")
        listed = load_json(folder / "meta" / f"{split}.json")
        items = [
            (f"{path}.jpg", classes.index(name)) for name, paths in listed.items() for path in paths
        ]
        names = [readable(each) for each in classes]
        return every_class(labelled(folder / "images", items, names))
