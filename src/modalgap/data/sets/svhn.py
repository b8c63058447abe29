"""SVHN: house numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modalgap.data.classes import labelled_media
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.media import Pixels
from modalgap.data.sets._shared import every_class, matlab, whole
from modalgap.data.source import Source
from modalgap.errors import FileError


class SVHN(Dataset):
    """The cropped digits; in the files the digit 0 is class 10."""

    card = DataCard(
        name="svhn",
        title="Street View House Numbers",
        task="classification",
        about="Digits cropped from photographs of house numbers, 32 x 32 colour pixels.",
        size="test 26,032 images, train 73,257, extra 531,131; 10 classes",
        splits=("test", "train", "extra"),
        licence="for non-commercial use",
        home="http://ufldl.stanford.edu/housenumbers/",
        folder="svhn",
        layout=("test_32x32.mat", "train_32x32.mat"),
        templates=('a photo of the number: "{}".',),
        citation="Netzer et al., Reading Digits in Natural Images, NIPS workshop 2011",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (f"{split}_32x32.mat",)

    def read(self, folder: Path, split: str) -> Source:
        found = matlab(folder / f"{split}_32x32.mat")
        images, labels = np.asarray(found["X"]), whole(found["y"], "y")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
            raise FileError(f"X must be 32 x 32 x 3 x n bytes; is {images.dtype} {images.shape}")
        if images.shape[3] != len(labels):
            raise FileError(f"must have {images.shape[3]} labels, one per image; has {len(labels)}")
        media = Pixels(np.moveaxis(images, 3, 0), [f"{split}/{i}" for i in range(len(labels))])
        classes = [str(digit) for digit in range(10)]
        return every_class(
            labelled_media(media, np.where(labels == 10, 0, labels).tolist(), classes)
        )
