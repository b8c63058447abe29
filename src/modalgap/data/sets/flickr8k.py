"""Flickr8k."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines
from modalgap.data.sets._captions import KARPATHY, captioned, karpathy, read_captions
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError

_IMAGES = "Flicker8k_Dataset"  # the authors' spelling


class Flickr8k(Dataset):
    """The authors' splits; Karpathy's splits have the same images.

    91 of its 8,091 images, and the captions of one missing image, belong to no split.
    """

    card = DataCard(
        name="flickr8k",
        title="Flickr8k",
        task="captions",
        about="Photographs of people and animals in action, each with five captions.",
        size="test and dev 1,000 images with 5,000 captions each, train 6,000 with 30,000",
        splits=("test", "dev", "train", *KARPATHY),
        licence="for non-commercial research and education; images under Flickr's terms of use",
        home="https://hockenmaier.cs.illinois.edu/Framing_Image_Description/KCCA.html",
        folder="flickr8k",
        layout=(
            "Flickr8k.token.txt",
            "Flickr_8k.testImages.txt",
            "Flicker8k_Dataset/1000268201_693b08cb0e.jpg",
            "dataset_flickr8k.json for karpathy-*, in place of the lists",
        ),
        citation="Hodosh et al., Framing Image Description as a Ranking Task, JAIR 2013",
    )

    def needs(self, split: str) -> Sequence[str]:
        if split in KARPATHY:
            return ("dataset_flickr8k.json", _IMAGES)
        return ("Flickr8k.token.txt", f"Flickr_8k.{split}Images.txt", _IMAGES)

    def read(self, folder: Path, split: str) -> Source:
        if split in KARPATHY:
            return karpathy(folder / "dataset_flickr8k.json", folder / _IMAGES, KARPATHY[split])
        captions: dict[str, list[str]] = {}
        listed = folder / f"Flickr_8k.{split}Images.txt"
        for name in lines(listed):
            if name in captions:
                raise FileError(f"{listed}: {name} occurs twice")
            captions[name] = []
        for name, caption in read_captions(folder / "Flickr8k.token.txt"):
            if name in captions:
                captions[name].append(caption)
        return captioned(gather("", folder / _IMAGES, captions.items()))
