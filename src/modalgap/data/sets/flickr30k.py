"""Flickr30k."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._captions import KARPATHY, captioned, karpathy, read_captions
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError

_LISTS = ("results_20130124.token", "results.csv", "captions.txt")
_IMAGES = "flickr30k[-_]images"


class Flickr30k(Dataset):
    """Karpathy's splits, as in retrieval tables; the authors published none."""

    card = DataCard(
        name="flickr30k",
        title="Flickr30k",
        task="captions",
        about="Photographs of people in everyday activities, each with five captions.",
        size="Karpathy's test 1,000 images with 5,000 captions, val 1,014 with 5,070, train 29,000"
        " with 145,000; all 31,783 with 158,915",
        splits=(*KARPATHY, "all"),
        licence="for non-commercial research and education; images under Flickr's terms of use",
        home="https://shannon.cs.illinois.edu/DenotationGraph/",
        folder="flickr30k",
        layout=(
            "dataset_flickr30k.json for karpathy-*",
            "flickr30k-images/1000092795.jpg, or flickr30k_images as Kaggle has it",
            "results_20130124.token for all; or results.csv, captions.txt of Kaggle",
        ),
        citation="Young et al., From Image Descriptions to Visual Denotations, TACL 2014; splits:"
        " Karpathy and Fei-Fei, Deep Visual-Semantic Alignments, CVPR 2015",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (_IMAGES,) if split == "all" else ("dataset_flickr30k.json", _IMAGES)

    def read(self, folder: Path, split: str) -> Source:
        images = min(folder.glob(_IMAGES))
        around = (folder, images)
        if (images / images.name).is_dir():  # Kaggle's archive
            images = images / images.name
        if split in KARPATHY:
            return karpathy(folder / "dataset_flickr30k.json", images, KARPATHY[split])
        lists = [each / name for name in _LISTS for each in around if (each / name).is_file()]
        if not lists:
            raise FileError(f"needs {folder / _LISTS[0]}, {_LISTS[1]} or {_LISTS[2]}")
        rows = ((name, [caption]) for name, caption in read_captions(lists[0]))
        return captioned(gather("", images, rows))
