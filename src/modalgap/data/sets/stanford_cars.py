"""Stanford Cars: makes, models and years."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN, labelled
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._shared import every_class, matlab, whole
from modalgap.data.source import Source

_FILE = {"test": "cars_test_annos_withlabels.mat", "train": "devkit/cars_train_annos.mat"}


class StanfordCars(Dataset):
    """The authors' split, or CoOp's. CoOp's names begin with the year, the authors' end with it."""

    card = DataCard(
        name="stanford-cars",
        title="Stanford Cars",
        task="classification",
        about="Photographs of cars by make, model and year.",
        size="test 8,041 images, train 8,144 (CoOp's 6,509 and val 1,635); 196 classes",
        splits=("test", "train", "val"),
        licence="not stated",
        home="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
        folder="stanford_cars",
        layout=("cars_test/00001.jpg", "cars_test_annos_withlabels.mat", "devkit/cars_meta.mat"),
        templates=PLAIN,
        citation="Krause et al., 3D Object Representations for Fine-Grained Categorization, 2013",
    )
    zhou_images = "."

    def needs(self, split: str) -> Sequence[str]:
        if split == "val":  # only CoOp has a val split
            return ("split_zhou_*.json",)
        return (f"cars_{split}", _FILE[split], "devkit/cars_meta.mat")

    def read(self, folder: Path, split: str) -> Source:
        names = matlab(folder / "devkit" / "cars_meta.mat")["class_names"].tolist()
        rows = matlab(folder / _FILE[split])["annotations"].reshape(-1)
        labels = whole(rows["class"], "class") - 1
        items = [
            (f"cars_{split}/{name}", label)
            for name, label in zip(rows["fname"], labels.tolist(), strict=True)
        ]
        return every_class(labelled(folder, items, names))
