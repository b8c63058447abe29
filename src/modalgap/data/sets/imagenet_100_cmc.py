"""ImageNet-100 of self-supervised learning."""

from typing import ClassVar

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.sets.imagenet import ImageNet


class ImageNet100CMC(ImageNet):
    """The list in imagenet100.txt of github.com/HobbitLong/CMC."""

    card = DataCard(
        name="imagenet-100-cmc",
        title="ImageNet-100 (CMC)",
        task="classification",
        about="A hundred random classes of ImageNet from CMC; common in self-supervised learning.",
        size="val 5,000 images, train 126,689; 100 classes",
        splits=("val", "train"),
        licence="for non-commercial research and education, as ImageNet",
        home="https://github.com/HobbitLong/CMC/blob/master/imagenet100.txt",
        folder="imagenet",
        layout=("val/n01558993/", "train/n01558993/"),
        templates=PLAIN,
        citation="Tian et al., Contrastive Multiview Coding, ECCV 2020",
    )
    folders: ClassVar[tuple[str, ...]] = ("imagenet-100-cmc", "imagenet100", *ImageNet.folders)
    subset = "imagenet_100_cmc.txt"
