"""Hateful Memes: pictures with text."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import json_lines
from modalgap.data.sets._shared import every_class
from modalgap.data.source import Source
from modalgap.errors import FileError, quoted


class HatefulMemes(Dataset):
    """Two classes, with the names in CLIP's paper, which uses dev_seen as test."""

    card = DataCard(
        name="hateful-memes",
        title="Hateful Memes",
        task="classification",
        about="Memes, some of them hateful; picture or text alone is often not enough to decide.",
        size="dev_seen 500 images, test_seen 1,000, dev_unseen 540, test_unseen 2,000,"
        " train 8,500; 2 classes",
        splits=("dev_seen", "test_seen", "dev_unseen", "test_unseen", "train"),
        licence="for research, under Facebook's agreement",
        home="https://ai.meta.com/tools/hatefulmemes/",
        folder="hateful_memes",
        layout=("img/01456.png", "dev_seen.jsonl"),
        templates=("a {}.",),
        citation="Kiela et al., The Hateful Memes Challenge, NeurIPS 2020",
    )

    def needs(self, split: str) -> Sequence[str]:
        return ("img", f"{split}.jsonl")

    def read(self, folder: Path, split: str) -> Source:
        rows = json_lines(folder / f"{split}.jsonl")
        items = [(str(row["img"]), row["label"]) for row in rows]
        for name, label in items:
            if type(label) is not int:
                raise FileError(f"label must be 0 or 1; {name} has {quoted(label)}")
        return every_class(labelled(folder, items, ("meme", "hatespeech meme")))
