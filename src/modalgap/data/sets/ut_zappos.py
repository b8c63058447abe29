"""UT-Zappos50K."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._compositions import METADATA, PAIRS, compositions
from modalgap.data.source import Source


class UTZappos(Dataset):
    """The splits of Purushwalkam et al., as in compositional zero-shot learning.

    The images are in one folder per pair, as ``reorganize_utzap.py`` of their code stores them.
    """

    card = DataCard(
        name="ut-zappos",
        title="UT Zappos50K",
        task="attributes",
        about="Photographs of shoes on white, each with its kind and its material.",
        size="test 2,914 images of 36 pairs, val 3,214 of 30, train 22,998 of 83; 16 attributes,"
        " 12 objects",
        splits=("test", "val", "train"),
        licence="for academic, non-commercial use",
        home="https://vision.cs.utexas.edu/projects/finegrained/utzap50k/",
        folder="ut-zap50k",
        layout=("images/Leather_Boots.Ankle/7153824.72.jpg", METADATA, f"{PAIRS}/test_pairs.txt"),
        templates=PLAIN,
        citation="Yu and Grauman, Fine-Grained Visual Comparisons with Local Learning, CVPR 2014;"
        " splits: Purushwalkam et al., Task-Driven Modular Networks, ICCV 2019",
    )

    def needs(self, split: str) -> Sequence[str]:
        return ("images", METADATA, f"{PAIRS}/{split}_pairs.txt")

    def read(self, folder: Path, split: str) -> Source:
        return compositions(folder, split)
