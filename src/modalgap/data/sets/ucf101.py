"""UCF101: actions, one frame per video."""

import re
from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import lines
from modalgap.data.sets._shared import camel_words, every_class
from modalgap.data.source import Source

_FILE = {"test": "testlist01.txt", "train": "trainlist01.txt"}


class UCF101(Dataset):
    """The middle frames from CoOp, in the first split of the authors, or in CoOp's."""

    card = DataCard(
        name="ucf101",
        title="UCF101 (middle frames)",
        task="classification",
        about="The middle frame of each of 13,320 videos of people in action.",
        size="test 3,783 images, train 9,537 (CoOp's 7,639 and val 1,898); 101 classes",
        splits=("test", "train", "val"),
        licence="not stated",
        home="https://www.crcv.ucf.edu/data/UCF101.php",
        folder="ucf101",
        layout=(
            "UCF-101-midframes/Apply_Eye_Makeup/v_ApplyEyeMakeup_g01_c01.jpg",
            "ucfTrainTestlist/classInd.txt",
            "ucfTrainTestlist/testlist01.txt",
        ),
        templates=("a photo of a person doing {}.",),
        citation="Soomro et al., UCF101, 2012; frames by Zhou et al., Learning to Prompt, 2022",
    )
    zhou_images = "UCF-101-midframes"

    def needs(self, split: str) -> Sequence[str]:
        if split == "val":  # only CoOp has a val split
            return ("split_zhou_*.json",)
        lists = ("ucfTrainTestlist/classInd.txt", f"ucfTrainTestlist/{_FILE[split]}")
        return ("UCF-101-midframes", *lists)

    def read(self, folder: Path, split: str) -> Source:
        lists = folder / "ucfTrainTestlist"
        classes = [line.split()[1] for line in lines(lists / "classInd.txt")]
        items = []
        for line in lines(lists / _FILE[split]):
            action, video = line.split()[0].split("/")
            place = "_".join(re.findall("[A-Z][^A-Z]*", action))
            items.append((f"{place}/{Path(video).stem}.jpg", classes.index(action)))
        names = [camel_words(each) for each in classes]
        return every_class(labelled(folder / "UCF-101-midframes", items, names))
