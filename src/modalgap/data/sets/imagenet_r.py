"""ImageNet-R: renditions."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.sets._shared import Placed, listed, wnid_folders
from modalgap.data.source import Source


class ImageNetR(Placed):
    """Two hundred of ImageNet's classes; predictions are limited to these classes."""

    card = DataCard(
        name="imagenet-r",
        title="ImageNet-R (renditions)",
        task="classification",
        about="Art, cartoons, graffiti, origami, sculptures, toys and other renditions of objects.",
        size="test 30,000 images; 200 classes",
        splits=("test",),
        licence="MIT for the repository; not stated for the images",
        home="https://github.com/hendrycks/imagenet-r",
        folder="imagenet-r",
        layout=("n01443537/art_0.jpg",),
        templates=PLAIN,
        citation="Hendrycks et al., The Many Faces of Robustness, ICCV 2021",
    )
    folders = ("imagenet-rendition/imagenet-r",)

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return (listed("imagenet_r.txt")[0],)

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return wnid_folders(folder, listed("imagenet_r.txt"))
