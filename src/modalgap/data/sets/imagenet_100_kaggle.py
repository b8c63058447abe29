"""ImageNet-100 on Kaggle."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.sets._shared import wnid_folders
from modalgap.data.sets.imagenet import ImageNet
from modalgap.data.source import Source


class ImageNet100Kaggle(ImageNet):
    """The list in Labels.json; in the download, train is in four folders and val is val.X."""

    card = DataCard(
        name="imagenet-100-kaggle",
        title="ImageNet-100 (Kaggle)",
        task="classification",
        about="A hundred classes of ImageNet, all of them animals, as on Kaggle.",
        size="val 5,000 images, train 130,000; 100 classes",
        splits=("val", "train"),
        licence="for non-commercial research and education, as ImageNet",
        home="https://www.kaggle.com/datasets/ambityga/imagenet100",
        folder="imagenet100",
        layout=("val.X/n01440764/", "train.X1/n01440764/", "train.X2/", "train.X3/", "train.X4/"),
        templates=PLAIN,
        citation="Russakovsky et al., IJCV 2015; the choice by Kaggle's user ambityga, 2021",
    )
    folders: ClassVar[tuple[str, ...]] = ("imagenet-100-kaggle", *ImageNet.folders, "imagenet")
    subset = "imagenet_100_kaggle.txt"

    def needs(self, split: str) -> Sequence[str]:
        return (f"{split}*/{self.wnids()[0]}",)  # val or val.X

    def read(self, folder: Path, split: str) -> Source:
        parts = [folder / split, *sorted(folder.glob(f"{split}.X*"))]
        found = [each for part in parts if part.is_dir() for each in part.iterdir()]
        places = {each.name: f"{each.parent.name}/{each.name}" for each in found}
        wnids = self.wnids()
        return wnid_folders(folder, wnids, [places.get(each, f"{split}/{each}") for each in wnids])
