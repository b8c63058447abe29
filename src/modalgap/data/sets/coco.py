"""COCO captions."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._captions import KARPATHY, captioned, karpathy
from modalgap.data.source import Source
from modalgap.data.sources.coco import read_coco


class COCO(Dataset):
    """The official splits, and Karpathy's if the folder has ``dataset_coco.json``."""

    card = DataCard(
        name="coco",
        title="COCO Captions",
        task="captions",
        about="Photographs of everyday scenes, each with about five captions.",
        size="val2017 5,000 images with 25,014 captions; train2017 118,287 with 591,753; val2014"
        " 40,504 with 202,654; train2014 82,783 with 414,113; Karpathy's test and val 5,000"
        " with 25,010 each, train 113,287 with 566,747",
        splits=("val2017", *KARPATHY, "train2017", "val2014", "train2014"),
        licence="annotations CC BY 4.0; images under Flickr's terms of use",
        home="https://cocodataset.org/#download",
        folder="coco",
        layout=(
            "annotations/captions_val2017.json",
            "val2017/000000000139.jpg",
            "dataset_coco.json for karpathy-*, with val2014 and train2014",
        ),
        citation="Chen et al., Microsoft COCO Captions, arXiv:1504.00325, 2015; splits: Karpathy"
        " and Fei-Fei, Deep Visual-Semantic Alignments, CVPR 2015",
    )

    def needs(self, split: str) -> Sequence[str]:
        if split not in KARPATHY:
            return (f"annotations/captions_{split}.json", split)
        train = ("train2014",) if split == "karpathy-train" else ()
        return ("dataset_coco.json", "val2014", *train)

    def read(self, folder: Path, split: str) -> Source:
        if split in KARPATHY:
            return karpathy(folder / "dataset_coco.json", folder, KARPATHY[split])
        return captioned(
            read_coco(folder / "annotations" / f"captions_{split}.json", folder / split)
        )
