"""20 Newsgroups."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import folders_in
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._documents import documents
from modalgap.data.source import Source
from modalgap.errors import FileError


class Newsgroups(Dataset):
    """Texts only, split by date; headers, footers and quotes are kept, and reveal the group."""

    card = DataCard(
        name="newsgroups",
        title="20 Newsgroups",
        task="text",
        about="Messages to 20 groups of Usenet, each with its group.",
        size="test 7,532 messages, train 11,314; 20 classes",
        splits=("test", "train"),
        licence="not stated",
        home="http://qwone.com/~jason/20Newsgroups/",
        folder="20newsgroups",
        layout=("20news-bydate-test/alt.atheism/53068", "20news-bydate-train/alt.atheism/49960"),
        citation="Lang, NewsWeeder: Learning to Filter Netnews, ICML 1995",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (f"20news-bydate-{split}",)

    def read(self, folder: Path, split: str) -> Source:
        part = folder / f"20news-bydate-{split}"
        groups = [each.name for each in folders_in(part)]
        if not groups:
            raise FileError(f"{part}: must hold one folder per group; found none")
        return documents(part, groups, "*", "latin-1")
