"""FGVC Aircraft: variants of aircraft."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.classes import labelled
from modalgap.data.dataset import DataCard
from modalgap.data.reading import lines
from modalgap.data.sets._shared import Placed, every_class
from modalgap.data.source import Source


class FGVCAircraft(Placed):
    """The hundred variants, such as 737-700."""

    card = DataCard(
        name="fgvc-aircraft",
        title="FGVC Aircraft",
        task="classification",
        about="Photographs of aircraft by variant, such as 737-700 or A340-300.",
        size="test 3,333 images, train 3,334, val 3,333; 100 classes",
        splits=("test", "train", "val"),
        licence="for non-commercial research",
        home="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        folder="fgvc-aircraft-2013b/data",
        layout=("images/0034309.jpg", "images_variant_test.txt", "variants.txt"),
        templates=("a photo of a {}, a type of aircraft.",),
        citation="Maji et al., Fine-Grained Visual Classification of Aircraft, 2013",
    )
    folders = ("fgvc_aircraft", "data", "fgvc-aircraft-2013b")

    def needs(self, split: str) -> Sequence[str]:
        return ("images", f"images_variant_{split}.txt", "variants.txt")

    def read(self, folder: Path, split: str) -> Source:
        classes = lines(folder / "variants.txt")
        rows = [row.split(" ", 1) for row in lines(folder / f"images_variant_{split}.txt")]
        items = [(f"{name}.jpg", classes.index(variant)) for name, variant in rows]
        return every_class(labelled(folder / "images", items, classes))
