"""EuroSAT: satellite images."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import class_folders, zhou
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._shared import camel_words, every_class
from modalgap.data.source import Source

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)


class EuroSAT(Dataset):
    """The RGB images. The authors published no test set: the splits are CoOp's; ``all`` is all."""

    card = DataCard(
        name="eurosat",
        title="EuroSAT",
        task="classification",
        about="Sentinel-2 satellite images of European land, 64 x 64 pixels, by land use.",
        size="CoOp's test 8,100 images, train 13,500, val 5,400; all 27,000; 10 classes",
        splits=("test", "train", "val", "all"),
        licence="MIT",
        home="https://github.com/phelber/EuroSAT",
        folder="eurosat",
        layout=("2750/AnnualCrop/AnnualCrop_1.jpg", "split_zhou_EuroSAT.json (not for all)"),
        templates=("a centered satellite photo of {}.",),
        citation="Helber et al., EuroSAT, IEEE JSTARS 2019",
    )

    def needs(self, split: str) -> Sequence[str]:
        return ("2750",) if split == "all" else ("2750", "split_zhou_*.json")

    def read(self, folder: Path, split: str) -> Source:
        if split != "all":
            return zhou(folder, "2750", split)
        names = [camel_words(each) for each in CLASSES]
        return every_class(class_folders(folder / "2750", CLASSES, names))
