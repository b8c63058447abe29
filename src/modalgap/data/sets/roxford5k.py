"""Revisited Oxford."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._revisited import CITATION, revisited
from modalgap.data.source import Source


class ROxford5k(Dataset):
    """Buildings in Oxford: queries first, then the images to search."""

    card = DataCard(
        name="roxford5k",
        title="Revisited Oxford",
        task="retrieval",
        about="Photographs of Oxford's buildings, and which of them show the same as a query.",
        size="test 70 queries and 4,993 images to search",
        splits=("test",),
        licence="not stated; images under Flickr's terms of use",
        home="http://cmp.felk.cvut.cz/revisitop/",
        folder="roxford5k",
        layout=("gnd_roxford5k.pkl", "jpg/all_souls_000013.jpg"),
        citation=CITATION,
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return ("gnd_roxford5k.pkl", "jpg")

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return revisited(folder / "gnd_roxford5k.pkl", folder / "jpg")
