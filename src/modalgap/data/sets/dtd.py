"""DTD: describable textures."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import folders_in, labelled, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines
from modalgap.data.source import Source


class DTD(Dataset):
    """The first of its ten partitions, as in zero-shot tables."""

    card = DataCard(
        name="dtd",
        title="Describable Textures",
        task="classification",
        about="Photographs of textures, each with the adjective that describes it.",
        size="train, val and test 1,880 images each; 47 classes",
        splits=("test", "train", "val"),
        licence="for research",
        home="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        folder="dtd",
        layout=("images/banded/banded_0002.jpg", "labels/test1.txt"),
        templates=("{} texture.",),
        citation="Cimpoi et al., Describing Textures in the Wild, CVPR 2014",
    )
    zhou_images = "images"

    def needs(self, split: str) -> Sequence[str]:
        return ("images", f"labels/{split}1.txt")

    def read(self, folder: Path, split: str) -> Source:
        names = lines(folder / "labels" / f"{split}1.txt")
        classes = [each.name for each in folders_in(folder / "images")]
        items = [(name, classes.index(name.split("/")[0])) for name in names]
        return labelled(folder / "images", items, [readable(each) for each in classes])
