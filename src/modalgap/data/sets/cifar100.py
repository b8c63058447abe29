"""CIFAR-100: small photographs of a hundred classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modalgap.data.classes import PLAIN, labelled_media, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._shared import every_class
from modalgap.data.sets.cifar10 import contents, images
from modalgap.data.source import Source
from modalgap.errors import FileError


class CIFAR100(Dataset):
    """The fine classes; the factor ``superclass`` holds the coarse class of each image."""

    card = DataCard(
        name="cifar100",
        title="CIFAR-100",
        task="classification",
        about="Colour photographs of 32 x 32 pixels of animals, plants, people and objects.",
        size="test 10,000 images, train 50,000; 100 classes in 20 superclasses",
        splits=("test", "train"),
        licence="not stated",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        folder="cifar-100-python",
        layout=("test", "train", "meta"),
        templates=PLAIN,
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (split, "meta")

    def read(self, folder: Path, split: str) -> Source:
        meta = contents(folder / "meta")
        classes = [readable(each) for each in meta["fine_label_names"]]
        coarse = [readable(each) for each in meta["coarse_label_names"]]
        media, (labels, groups) = images(folder, (split,), "fine_labels", "coarse_labels")
        if not all(0 <= group < len(coarse) for group in groups):
            raise FileError(f"coarse_labels must lie in 0 … {len(coarse) - 1}")
        source = every_class(labelled_media(media, labels, classes))
        return replace(source, factors={"superclass": [coarse[group] for group in groups]})
