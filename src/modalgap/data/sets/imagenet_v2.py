"""ImageNet-V2: new photographs of ImageNet's classes."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.imagenet import CLASSES, wnids
from modalgap.data.sets._shared import Placed, wnid_folders
from modalgap.data.source import Source


class ImageNetV2(Placed):
    """The matched-frequency set. Its folders are class numbers, sorted as numbers: 10 after 9."""

    card = DataCard(
        name="imagenet-v2",
        title="ImageNet-V2 (matched frequency)",
        task="classification",
        about="A second test set for ImageNet, collected with the method of the first.",
        size="test 10,000 images; 1,000 classes",
        splits=("test",),
        licence="as ImageNet; the images come from Flickr under their own licences",
        home="https://github.com/modestyachts/ImageNetV2",
        folder="imagenetv2-matched-frequency-format-val",
        layout=("0/0af3f1b55de791c4144e2fb6d7dfe96dfc22d3fc.jpeg", "999/"),
        templates=PLAIN,
        citation="Recht et al., Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019",
    )
    folders = ("imagenetv2/imagenetv2-matched-frequency-format-val", "imagenetv2")

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return ("0", f"{CLASSES - 1}")

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return wnid_folders(folder, wnids(), [str(label) for label in range(CLASSES)])
