"""ImageNet-A: photographs that classifiers get wrong."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.sets._shared import Placed, listed, wnid_folders
from modalgap.data.source import Source


class ImageNetA(Placed):
    """Two hundred of ImageNet's classes; predictions are limited to these classes."""

    card = DataCard(
        name="imagenet-a",
        title="ImageNet-A",
        task="classification",
        about="Unedited photographs that a ResNet-50 trained on ImageNet gets wrong.",
        size="test 7,500 images; 200 classes",
        splits=("test",),
        licence="MIT for the repository; not stated for the images",
        home="https://github.com/hendrycks/natural-adv-examples",
        folder="imagenet-a",
        layout=("n01498041/0.000116_digital clock _ digital clock_0.865662.jpg",),
        templates=PLAIN,
        citation="Hendrycks et al., Natural Adversarial Examples, CVPR 2021",
    )
    folders = ("imagenet-adversarial/imagenet-a",)

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return (listed("imagenet_a.txt")[0],)

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return wnid_folders(folder, listed("imagenet_a.txt"))
