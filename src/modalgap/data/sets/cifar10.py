"""CIFAR-10: small photographs of ten classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.data.classes import PLAIN, labelled_media, readable
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.media import Pixels, read_file
from modalgap.data.plain_pickle import load_plain
from modalgap.data.reading import reading
from modalgap.data.sets._shared import every_class, whole
from modalgap.data.source import Source
from modalgap.errors import FileError

BATCHES = {"test": ("test_batch",), "train": tuple(f"data_batch_{i}" for i in range(1, 6))}


class CIFAR10(Dataset):
    """The batches are pickles, which a restricted unpickler reads."""

    card = DataCard(
        name="cifar10",
        title="CIFAR-10",
        task="classification",
        about="Colour photographs of 32 x 32 pixels: six animals and four vehicles.",
        size="test 10,000 images, train 50,000; 10 classes",
        splits=("test", "train"),
        licence="not stated",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        folder="cifar-10-batches-py",
        layout=("test_batch", "data_batch_1", "batches.meta"),
        templates=PLAIN,
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (*BATCHES[split], "batches.meta")

    def read(self, folder: Path, split: str) -> Source:
        classes = contents(folder / "batches.meta")["label_names"]
        media, (labels,) = images(folder, BATCHES[split], "labels")
        return every_class(labelled_media(media, labels, [readable(each) for each in classes]))


def contents(path: Path) -> Any:
    """The content of a CIFAR pickle; both are dicts."""
    with reading(str(path)):
        return load_plain(read_file(path))


def images(folder: Path, batches: Sequence[str], *labels: str) -> tuple[Pixels, list[list[int]]]:
    """The images of several batches, and their labels of each kind.

    Raises:
        FileError: not rows of 3 x 32 x 32 bytes with one label each.
    """
    rows: list[Any] = []
    columns: list[list[int]] = [[] for _ in labels]
    for batch in batches:
        with reading(str(folder / batch)):
            found = contents(folder / batch)
            data = found["data"]
            if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
                raise FileError("data must be rows of bytes")
            rows.append(data.reshape(len(data), 3, 32, 32))
            for column, key in zip(columns, labels, strict=True):
                values = whole(found[key], key)
                if len(values) != len(data):
                    raise FileError(f"must hold {len(data)} {key}; holds {len(values)}")
                column.extend(values.tolist())
    array = np.concatenate(rows).transpose(0, 2, 3, 1)
    names = [
        f"{batch}/{i}" for batch, row in zip(batches, rows, strict=True) for i in range(len(row))
    ]
    return Pixels(array, names), columns
