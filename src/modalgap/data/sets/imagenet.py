"""ImageNet: the challenge of 2012."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.imagenet import FIRST, wnids
from modalgap.data.sets._shared import Placed, listed, wnid_folders
from modalgap.data.source import Source


class ImageNet(Placed):
    """One folder of images per WordNet number, in train and in val."""

    card = DataCard(
        name="imagenet",
        title="ImageNet (ILSVRC 2012)",
        task="classification",
        about="Photographs from the web of a thousand classes, 398 of them animals.",
        size="val 50,000 images, train 1,281,167; 1,000 classes",
        splits=("val", "train"),
        licence="for non-commercial research and education",
        home="https://www.image-net.org/",
        folder="imagenet",
        layout=(
            "val/n01440764/ILSVRC2012_val_00000293.JPEG",
            "train/n01440764/n01440764_18.JPEG",
        ),
        templates=PLAIN,
        citation="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
    )
    folders: ClassVar[tuple[str, ...]] = (
        "imagenet/images",
        "images",
        "imagenet/ILSVRC/Data/CLS-LOC",
        "ILSVRC/Data/CLS-LOC",
    )
    subset: ClassVar[str | None] = None
    """Name of a list of WordNet numbers in this folder; by default all thousand classes."""

    def wnids(self) -> Sequence[str]:
        """The classes in the order of their labels, which is the order of their numbers."""
        return wnids() if self.subset is None else sorted(listed(self.subset))

    def needs(self, split: str) -> Sequence[str]:
        first = FIRST if self.subset is None else self.wnids()[0]
        return (f"{split}/{first}",)

    def read(self, folder: Path, split: str) -> Source:
        return wnid_folders(folder / split, self.wnids())
