"""ImageNet-Sketch: drawings."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.imagenet import FIRST, wnids
from modalgap.data.sets._shared import Placed, wnid_folders
from modalgap.data.source import Source


class ImageNetSketch(Placed):
    """One folder of drawings per WordNet number."""

    card = DataCard(
        name="imagenet-sketch",
        title="ImageNet-Sketch",
        task="classification",
        about="Black-and-white sketches of ImageNet's thousand classes, found by web search.",
        size="test 50,889 images; 1,000 classes",
        splits=("test",),
        licence="MIT for the repository; not stated for the images",
        home="https://github.com/HaohanWang/ImageNet-Sketch",
        folder="imagenet-sketch",
        layout=("sketch/n01440764/sketch_0.JPEG",),
        templates=PLAIN,
        citation="Wang et al., Learning Robust Global Representations, NeurIPS 2019",
    )
    folders = ("imagenet-sketch/sketch", "sketch", "imagenet-sketch/images")

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return (FIRST,)

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return wnid_folders(folder, wnids())
