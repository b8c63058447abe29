"""Revisited Paris."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.sets._revisited import CITATION, revisited
from modalgap.data.source import Source


class RParis6k(Dataset):
    """Buildings in Paris: queries first, then the images to search."""

    card = DataCard(
        name="rparis6k",
        title="Revisited Paris",
        task="retrieval",
        about="Photographs of Paris's buildings, and which of them show the same as a query.",
        size="test 70 queries and 6,322 images to search",
        splits=("test",),
        licence="not stated; images under Flickr's terms of use",
        home="http://cmp.felk.cvut.cz/revisitop/",
        folder="rparis6k",
        layout=("gnd_rparis6k.pkl", "jpg/paris_defense_000605.jpg"),
        citation=CITATION,
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return ("gnd_rparis6k.pkl", "jpg")

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        return revisited(folder / "gnd_rparis6k.pkl", folder / "jpg")
