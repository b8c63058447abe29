"""ImageNet-100 of out-of-distribution detection."""

from typing import ClassVar

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard
from modalgap.data.sets.imagenet import ImageNet


class ImageNet100MCM(ImageNet):
    """The list in data/ImageNet100/class_list.txt of github.com/deeplearning-wisc/MCM."""

    card = DataCard(
        name="imagenet-100-mcm",
        title="ImageNet-100 (MCM)",
        task="classification",
        about="A hundred classes of ImageNet from MCM, for out-of-distribution detection.",
        size="val 5,000 images; 100 classes",
        splits=("val", "train"),
        licence="for non-commercial research and education, as ImageNet",
        home="https://github.com/deeplearning-wisc/MCM",
        folder="imagenet",
        layout=("val/n01498041/", "train/n01498041/"),
        templates=PLAIN,
        citation="Ming et al., Delving into Out-of-Distribution Detection with Vision-Language"
        " Representations, NeurIPS 2022",
    )
    folders: ClassVar[tuple[str, ...]] = ("imagenet-100-mcm", "ImageNet100", *ImageNet.folders)
    subset = "imagenet_100_mcm.txt"
