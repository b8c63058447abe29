"""CC12M: conceptual captions, a larger and noisier set."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._captions import captioned
from modalgap.data.source import Source
from modalgap.data.sources.webdataset import read_shards


class CC12M(Dataset):
    """Tar shards of img2dataset.

    The number of available images depends on the date of the download.
    """

    card = DataCard(
        name="cc12m",
        title="Conceptual 12M",
        task="captions",
        about="Images from the web with their alt text, filtered less than in CC3M.",
        size="train 12,423,374 URLs; fewer images are still available",
        splits=("train",),
        licence="captions and URLs free for any purpose; images of their owners",
        home="https://github.com/google-research-datasets/conceptual-12m",
        folder="cc12m",
        layout=("00000.tar, or cc12m-train-0000.tar",),
        citation="Changpinyo et al., Conceptual 12M, CVPR 2021",
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return ("*.tar",)

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return captioned(read_shards(sorted(folder.glob("*.tar")), str(folder)))
