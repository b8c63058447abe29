"""IMDB: reviews of films."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._documents import documents
from modalgap.data.source import Source

_CLASSES = ("neg", "pos")


class IMDB(Dataset):
    """Texts only; reviews without a label are excluded."""

    card = DataCard(
        name="imdb",
        title="Large Movie Review Dataset",
        task="text",
        about="Film reviews that are clearly positive or negative.",
        size="test and train 25,000 reviews each, half of them positive",
        splits=("test", "train"),
        licence="not stated",
        home="https://ai.stanford.edu/~amaas/data/sentiment/",
        folder="aclImdb",
        layout=("test/neg/0_2.txt", "test/pos/0_10.txt", "train/pos/0_9.txt"),
        citation="Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
    )

    def needs(self, split: str) -> Sequence[str]:
        return tuple(f"{split}/{each}" for each in _CLASSES)

    def read(self, folder: Path, split: str) -> Source:
        return documents(folder / split, _CLASSES, "*.txt", "utf-8")
