"""Stanford Online Products."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.media import Files
from modalgap.data.reading import lines, reading
from modalgap.data.source import Source
from modalgap.errors import FileError

_HEADER = ["image_id", "class_id", "super_class_id", "path"]


class StanfordOnlineProducts(Dataset):
    """Images only; the products of the test split are not in the train split.

    The factor ``class`` is the product, ``super_class`` its kind.
    """

    card = DataCard(
        name="sop",
        title="Stanford Online Products",
        task="retrieval",
        about="Photographs of products for sale, several of each, of 12 kinds.",
        size="test 60,502 images of 11,316 products, train 59,551 of 11,318",
        splits=("test", "train"),
        licence="not stated",
        home="https://cvgl.stanford.edu/projects/lifted_struct/",
        folder="Stanford_Online_Products",
        layout=("Ebay_test.txt", "Ebay_train.txt", "bicycle_final/111085122871_0.JPG"),
        citation="Oh Song et al., Deep Metric Learning via Lifted Structured Feature Embedding,"
        " CVPR 2016",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (f"Ebay_{split}.txt", "*_final")

    def read(self, folder: Path, split: str) -> Source:
        path = folder / f"Ebay_{split}.txt"
        names: dict[str, int] = {}
        kinds: dict[int, str] = {}
        ids: set[int] = set()
        supers = []
        with reading(str(path)):
            header, *rows = [line.split() for line in lines(path)]
            if header != _HEADER:
                raise FileError(f"must begin with {' '.join(_HEADER)}; found {' '.join(header)}")
            for image, product, kind, name in rows:
                if int(image) in ids or name in names:
                    raise FileError(f"image {image}, {name}, must occur once; occurs twice")
                ids.add(int(image))
                names[name] = int(product)
                word = name.partition("/")[0].removesuffix("_final")
                if kinds.setdefault(int(kind), word) != word:
                    raise FileError(f"super class {kind} must be in one folder; {name} is not")
                supers.append(word)
        return Source(
            name="",
            media=Files.under(folder, list(names)),
            factors={"class": list(names.values()), "super_class": supers},
        )
