"""CC3M: conceptual captions."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._captions import captioned
from modalgap.data.source import Source
from modalgap.data.sources.webdataset import read_shards
from modalgap.errors import FileError


class CC3M(Dataset):
    """Tar shards of img2dataset, in one folder per split or with the split in their names.

    The number of available images depends on the date of the download.
    """

    card = DataCard(
        name="cc3m",
        title="Conceptual Captions 3M",
        task="captions",
        about="Images from the web with their alt text, cleaned and without names.",
        size="validation 15,840 and train 3,318,333 URLs; fewer images are still available",
        splits=("validation", "train"),
        licence="captions and URLs free for any purpose; images of their owners",
        home="https://ai.google.com/research/ConceptualCaptions/download",
        folder="cc3m",
        layout=("validation/00000.tar, or cc3m-validation-0000.tar", "train/00000.tar"),
        citation="Sharma et al., Conceptual Captions, ACL 2018",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (f"*{split}*",)

    def read(self, folder: Path, split: str) -> Source:
        shards = sorted([*folder.glob(f"{split}/*.tar"), *folder.glob(f"cc3m-{split}*.tar")])
        if not shards:
            raise FileError(f"needs {folder / split}/*.tar, or cc3m-{split}-*.tar")
        return captioned(read_shards(shards, str(folder)))
