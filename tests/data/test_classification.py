"""Sets of images with classes: against torchvision's readers, and against damage."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from data.classification_cases import built, items, names, texts
from layouts import classification as lay
from PIL import Image

from modalgap.data import DATASETS


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision checks sums; tiny data have others."""
    for module in ("cifar", "svhn", "flowers102", "mnist"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity", lambda path, *_: Path(path).exists()
        )


def theirs(dataset: Any) -> list[tuple[bytes, int]]:
    """The same of a data set of torchvision."""
    found = []
    for i in range(len(dataset)):
        image, label = dataset[i]
        assert isinstance(image, Image.Image)
        found.append((image.convert("RGB").tobytes(), int(label)))
    return found


def plain(name: str) -> str:
    return name.lower().replace("_", " ")


TORCHVISION: dict[str, tuple[str | None, str, Callable[[Path], Any]]] = {
    # name: (folder there, split, reader)
    "cifar10": (None, "test", lambda root: tv.CIFAR10(root, train=False)),
    "cifar10 train": (None, "train", lambda root: tv.CIFAR10(root)),
    "cifar100": (None, "test", lambda root: tv.CIFAR100(root, train=False)),
    "svhn": ("", "test", lambda root: tv.SVHN(root, "test")),
    "svhn train": ("", "train", lambda root: tv.SVHN(root, "train")),
    "svhn extra": ("", "extra", lambda root: tv.SVHN(root, "extra")),
    "eurosat": (None, "all", lambda root: tv.EuroSAT(root)),
    "caltech101": ("caltech101", "all", lambda root: tv.Caltech101(root)),
    "food101": (None, "test", lambda root: tv.Food101(root, "test")),
    "food101 train": (None, "train", lambda root: tv.Food101(root, "train")),
    "flowers102": ("flowers-102", "test", lambda root: tv.Flowers102(root, "test")),
    "flowers102 train": ("flowers-102", "train", lambda root: tv.Flowers102(root, "train")),
    "flowers102 val": ("flowers-102", "val", lambda root: tv.Flowers102(root, "val")),
    "oxford-pets": ("oxford-iiit-pet", "test", lambda root: tv.OxfordIIITPet(root, "test")),
    "oxford-pets train": ("oxford-iiit-pet", "train", lambda root: tv.OxfordIIITPet(root)),
    "stanford-cars": (None, "test", lambda root: tv.StanfordCars(root, "test")),
    "stanford-cars train": (None, "train", lambda root: tv.StanfordCars(root, "train")),
    "fgvc-aircraft": (None, "test", lambda root: tv.FGVCAircraft(root, "test")),
    "fgvc-aircraft val": (None, "val", lambda root: tv.FGVCAircraft(root, "val")),
}


@pytest.mark.parametrize("case", TORCHVISION)
def test_reads_what_torchvision_reads(case: str, tmp_path: Path) -> None:
    name = case.split()[0]
    folder, split, reader = TORCHVISION[case]
    root = tmp_path / "data"
    root.mkdir()
    if folder == "":  # torchvision wants the files in the root itself
        root.rmdir()
    built(name, root, folder) if folder != "" else lay.BUILD[name](root)
    place = root / (folder or DATASETS[name].card.folder)
    zhou = list(place.glob("split_zhou_*.json"))
    for file in zhou:
        file.unlink()
    reference = reader(root)
    source = DATASETS[name].source(root, split)
    assert len(reference) > 2 or name in ("stanford-cars",)
    assert items(source) == theirs(reference)
    if name == "svhn":
        assert texts(source) == [str(i) for i in range(10)]
    elif name == "eurosat":
        assert [each.replace(" ", "") for each in texts(source)] == [
            each.lower() for each in reference.classes
        ]
    elif name == "caltech101":
        assert texts(source)[:5] == [
            "off-center face",
            "centered face",
            "leopard",
            "motorbike",
            "airplane",
        ]
        assert texts(source)[5:] == [each.replace("_", " ") for each in reference.categories[5:]]
    elif name == "flowers102":  # CLIP's paper has other names for three
        pairs = zip(texts(source), reference.classes, strict=True)
        assert sum(ours != there for ours, there in pairs) == 3
    elif name == "oxford-pets":
        assert texts(source) == reference.classes
    else:
        assert list(map(plain, texts(source))) == list(map(plain, reference.classes))


def test_sun397_is_as_torchvision_has_it(tmp_path: Path) -> None:
    place = built("sun397", tmp_path)
    reference = tv.SUN397(place)  # all images, in no order
    source = DATASETS["sun397"].source(tmp_path)
    expected = {
        str(path.relative_to(place / "SUN397")): item
        for path, item in zip(reference._image_files, theirs(reference), strict=True)
    }
    assert dict(zip(names(source), items(source), strict=True)) == expected
    assert reference.classes == ["abbey", "art_gallery", "church/outdoor"]
    assert texts(source) == ["abbey", "art gallery", "outdoor church"]


def test_mnist_is_as_torchvision_has_it(tmp_path: Path) -> None:
    place = built("mnist", tmp_path, "MNIST")
    for split in ("test", "train"):
        packed = items(DATASETS["mnist"].source(tmp_path, split))
        for path in (place / "raw").glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        reference = tv.MNIST(tmp_path, train=split == "train")
        assert packed == theirs(reference)
        assert items(DATASETS["mnist"].source(tmp_path, split)) == packed


def test_mnist_as_published(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    place = shared_data("mnist")
    source = DATASETS["mnist"].source(place)
    assert len(names(source)) == 10_000
    # the first digits of the test set, and how many there are of each, are well known
    labels = np.asarray(source.labels)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (place / "raw").glob("t10k*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for stem in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / stem).touch()  # torchvision asks whether they are there
    reference = tv.MNIST(tmp_path, train=False)
    assert source.media is not None
    ours = np.stack([np.asarray(source.media[i]) for i in range(10_000)])
    assert np.array_equal(ours, reference.data.numpy())
    assert np.array_equal(labels, reference.targets.numpy())
    assert items(DATASETS["mnist"].source(place / "raw").limited(20, 0)) == items(
        DATASETS["mnist"].source(tmp_path).limited(20, 0)
    )
