"""MIT-States."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import PLAIN
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._compositions import METADATA, PAIRS, compositions
from modalgap.data.source import Source


class MITStates(Dataset):
    """The splits of Purushwalkam et al., as in compositional zero-shot learning."""

    card = DataCard(
        name="mit-states",
        title="MIT-States",
        task="attributes",
        about="Images from the web of an object in a state, such as a sliced apple.",
        size="test 12,995 images of 800 pairs, val 10,420 of 600, train 30,338 of 1,262; 115"
        " attributes, 245 objects",
        splits=("test", "val", "train"),
        licence="not stated",
        home="https://web.mit.edu/phillipi/Public/states_and_transformations/",
        folder="mit-states",
        layout=("images/sliced apple/0.jpg", METADATA, f"{PAIRS}/test_pairs.txt"),
        templates=PLAIN,
        citation="Isola et al., Discovering States and Transformations in Image Collections,"
        " CVPR 2015; splits: Purushwalkam et al., Task-Driven Modular Networks, ICCV 2019",
    )

    def needs(self, split: str) -> Sequence[str]:
        return ("images", METADATA, f"{PAIRS}/{split}_pairs.txt")

    def read(self, folder: Path, split: str) -> Source:
        return compositions(folder, split)
