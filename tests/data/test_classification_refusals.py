"""Sets of images with classes: against torchvision's readers, and against damage."""

from __future__ import annotations

import gzip
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.classification_cases import built, names, texts
from layouts import classification as lay
from layouts.drawing import draw, write
from scipy.io import loadmat, savemat

from modalgap.data import DATASETS
from modalgap.data.dataset import absent
from modalgap.errors import FileError, InputError


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision checks sums; tiny data have others."""
    for module in ("cifar", "svhn", "flowers102", "mnist"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity", lambda path, *_: Path(path).exists()
        )


def test_fairface_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    place = built("fairface", tmp_path)
    with pytest.raises(InputError, match=r"fairface_label_train\.csv"):
        DATASETS["fairface"].source(tmp_path, "train")
    csv = (place / "fairface_label_val.csv").read_text()
    write(place / "fairface_label_val.csv", csv.replace("East Asian", "Martian"))
    with pytest.raises(InputError, match=r"val/1\.jpg must have a known race and gender"):
        DATASETS["fairface"].source(tmp_path)
    write(place / "fairface_label_val.csv", csv.replace("service_test", "other"))
    with pytest.raises(InputError, match="service_test"):
        DATASETS["fairface"].source(tmp_path)
    write(place / "fairface_label_val.csv", csv)
    shutil.rmtree(place / "fairface-img-margin025-trainval")
    with pytest.raises(InputError, match="margin025-trainval/val"):
        DATASETS["fairface"].source(tmp_path)


@pytest.mark.parametrize("name", sorted(lay.BUILD))
def test_nothing_there_is_one_line(name: str, tmp_path: Path) -> None:
    for split in DATASETS[name].card.splits:
        lost = DATASETS[name].missing(tmp_path, split)
        assert lost
        assert all(str(tmp_path) in each for each in lost)
        with pytest.raises(InputError, match=f"^{name}: needs ") as caught:
            DATASETS[name].source(tmp_path, split)
        assert "\n" not in str(caught.value)


LISTS = {  # the files that say what belongs to whom
    "cifar10": ["test_batch", "batches.meta"],
    "cifar100": ["test", "meta"],
    "mnist": ["raw/t10k-images-idx3-ubyte.gz", "raw/t10k-labels-idx1-ubyte.gz"],
    "svhn": ["test_32x32.mat"],
    "caltech101": ["split_zhou_Caltech101.json"],
    "eurosat": ["split_zhou_EuroSAT.json"],
    "food101": ["meta/test.json", "meta/classes.txt"],
    "flowers102": ["imagelabels.mat", "setid.mat"],
    "oxford-pets": ["annotations/test.txt"],
    "stanford-cars": ["cars_test_annos_withlabels.mat", "devkit/cars_meta.mat"],
    "fgvc-aircraft": ["images_variant_test.txt", "variants.txt"],
    "sun397": ["Testing_01.txt", "SUN397/ClassName.txt"],
    "ucf101": ["ucfTrainTestlist/testlist01.txt", "ucfTrainTestlist/classInd.txt"],
    "hateful-memes": ["dev_seen.jsonl"],
    "fairface": ["fairface_label_val.csv"],
}


@pytest.mark.parametrize(("name", "file"), [(n, f) for n, files in LISTS.items() for f in files])
def test_damaged_lists_are_one_line(name: str, file: str, tmp_path: Path) -> None:
    place = built(name, tmp_path)
    path = place / file
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "empty": b"",
        "noise": bytes(range(255, 0, -1)) * 3,
        "other": b'{"something": ["else"]}\n',
        "not text": b"\xff\xfe\x00",
        "number": b"7\n",
        "cut": whole[:middle],
    }
    for what, content in damaged.items():
        path.write_bytes(content)
        if what == "cut" and file == "fairface_label_val.csv":
            continue  # may end where a row does, and not every class needs a face
        with pytest.raises(InputError) as caught:
            DATASETS[name].source(tmp_path)
        assert "\n" not in str(caught.value), what
        assert str(caught.value).startswith(name), what


def test_what_cifar_refuses(tmp_path: Path) -> None:
    place = built("cifar10", tmp_path)
    good = pickle.loads((place / "test_batch").read_bytes())  # noqa: S301 - our own
    wrong: dict[str, dict[str, Any]] = {
        "must hold 12 labels; holds 11": {"labels": good["labels"][:-1]},
        "labels": {"labels": [10, *good["labels"][1:]]},
        "0 … 9": {"labels": [-1, *good["labels"][1:]]},
        "whole numbers": {"labels": [0.5, *good["labels"][1:]]},
        "rows of bytes": {"data": good["data"].astype(np.int64)},
        "cannot reshape": {"data": good["data"][:, :-1]},
        "every class must have an image; 'airplane'": {
            "labels": [max(label, 1) for label in good["labels"]]
        },
    }
    for said, change in wrong.items():
        lay.pickled(place / "test_batch", good | change)
        with pytest.raises(InputError, match=said):
            DATASETS["cifar10"].source(tmp_path)
    (place / "test_batch").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(InputError, match=r"test_batch: .*os\.system"):
        DATASETS["cifar10"].source(tmp_path)
    built("cifar100", tmp_path)
    batch = {"data": lay.pixels(3, 3072), "fine_labels": [0, 1, 2], "coarse_labels": [0, 1, 2]}
    lay.pickled(tmp_path / "cifar-100-python" / "test", batch)
    with pytest.raises(InputError, match="coarse_labels must lie in 0 … 1"):
        DATASETS["cifar100"].source(tmp_path)


def test_what_mnist_refuses(tmp_path: Path) -> None:
    raw = built("mnist", tmp_path) / "raw"
    images, labels = raw / "t10k-images-idx3-ubyte.gz", raw / "t10k-labels-idx1-ubyte.gz"
    kept = images.read_bytes()
    whole = gzip.decompress(kept)
    huge = whole[:4] + b"\x7f\xff\xff\xff" * 3
    wrong = {
        "must hold 9408 bytes after its header; holds 9407": whole[:-1],
        "holds more": whole + b"x",
        "IDX file of bytes in 3 dimensions": gzip.decompress(labels.read_bytes()),
        "at most": huge,
        "11 and 12 differ": lay.idx(lay.pixels(11, 28, 28)),
    }
    for said, content in wrong.items():
        for form in (content, gzip.compress(content)):
            images.write_bytes(form)
            with pytest.raises(InputError, match=said):
                DATASETS["mnist"].source(tmp_path)
    images.write_bytes(kept)
    for values, said in ((np.full(12, 3), "every class"), (np.full(12, 11), "labels")):
        labels.write_bytes(lay.idx(values.astype(np.uint8)))
        with pytest.raises(InputError, match=said):
            DATASETS["mnist"].source(tmp_path)


def test_what_svhn_refuses(tmp_path: Path) -> None:
    place = built("svhn", tmp_path)
    good = loadmat(place / "test_32x32.mat")
    images, labels = good["X"], good["y"]
    wrong: dict[str, tuple[Any, Any]] = {
        "11 labels, one per image; has 10": (images, labels[1:]),
        "32 x 32 x 3 x n bytes": (np.moveaxis(images, 3, 0), labels),
        "must be 32 x 32 x 3 x n": (images.astype(float), labels),
        "whole numbers": (images, labels + 0.5),
        "labels": (images, labels + 1),
        "every class": (images, np.full_like(labels, 3)),
    }
    for said, (x, y) in wrong.items():
        savemat(place / "test_32x32.mat", {"X": x, "y": y})
        with pytest.raises(InputError, match=said):
            DATASETS["svhn"].source(tmp_path)


def test_what_lists_refuse(tmp_path: Path) -> None:
    def refused(name: str, path: Path, content: str, said: str) -> None:
        kept = path.read_bytes()
        write(path, content)
        with pytest.raises(InputError, match=said) as caught:
            DATASETS[name].source(tmp_path)
        assert "\n" not in str(caught.value)
        path.write_bytes(kept)
        DATASETS[name].source(tmp_path)

    pets = built("oxford-pets", tmp_path) / "annotations" / "test.txt"
    refused("oxford-pets", pets, "Abyssinian_1 1 1 1\nBengal_3 3 1 1\n", "some number has no image")
    refused("oxford-pets", pets, "Abyssinian_1 1 1 1\nBengal_3 1 1 1\n", "must be one breed")
    refused("oxford-pets", pets, "Abyssinian_1 0 1 1\n", "some number has no image")
    aircraft = built("fgvc-aircraft", tmp_path) / "images_variant_test.txt"
    refused("fgvc-aircraft", aircraft, "1 F-16A/B\n", "every class must have an image; '707-320'")
    refused("fgvc-aircraft", aircraft, "1 F-99\n", "F-99")
    refused("fgvc-aircraft", aircraft, "1\n", "is malformed")
    food = built("food101", tmp_path) / "meta" / "test.json"
    refused("food101", food, '{"churros": ["churros/1"]}', "every class must have an image")
    refused("food101", food, '{"pizza": ["pizza/1"]}', "pizza")
    sun = built("sun397", tmp_path) / "Testing_01.txt"
    refused("sun397", sun, "/z/zoo/sun_a.jpg\n", "/z/zoo")
    ucf = built("ucf101", tmp_path) / "ucfTrainTestlist" / "testlist01.txt"
    refused("ucf101", ucf, "Flying/v_Flying_g01_c01.avi\n", "Flying")


def test_what_flowers_and_cars_refuse(tmp_path: Path) -> None:
    flowers = built("flowers102", tmp_path)
    labels = np.ravel(loadmat(flowers / "imagelabels.mat")["labels"]).astype(int)
    for ids, said in (([0, 1], "1 … 206"), ([1, 207], "1 … 206"), ([1, 2], "every class")):
        savemat(flowers / "setid.mat", {"tstid": np.array(ids)})
        with pytest.raises(InputError, match=said):
            DATASETS["flowers102"].source(tmp_path)
    savemat(flowers / "setid.mat", {"tstid": np.arange(1, 207)})
    for values, said in ((labels + 1, "0 … 101"), (labels - 1, "0 … 101"), (labels / 2, "whole")):
        savemat(flowers / "imagelabels.mat", {"labels": values})
        with pytest.raises(InputError, match=said):
            DATASETS["flowers102"].source(tmp_path)
    cars = built("stanford-cars", tmp_path)
    kinds = [("class", object), ("fname", object)]
    file = cars / "cars_test_annos_withlabels.mat"
    for rows, said in (
        ([(0, "1.jpg"), (1, "2.jpg")], "0 … 1"),  # 0 - 1 must not wrap around in a byte
        ([(3, "1.jpg"), (1, "2.jpg")], "0 … 1"),
        ([(1.5, "1.jpg"), (1, "2.jpg")], "whole"),
        ([(1, "1.jpg")], "every class"),
    ):
        values = [(np.uint8(label) if label != 1.5 else label, name) for label, name in rows]
        savemat(file, {"annotations": np.array(values, kinds)})
        with pytest.raises(InputError, match=said):
            DATASETS["stanford-cars"].source(tmp_path)


def test_what_folders_refuse(tmp_path: Path) -> None:
    eurosat = built("eurosat", tmp_path) / "2750"
    shutil.rmtree(eurosat / "River")
    with pytest.raises(InputError, match="every class must have an image; 'river' has none"):
        DATASETS["eurosat"].source(tmp_path, "all")
    caltech = built("caltech101", tmp_path) / "101_ObjectCategories"
    shutil.rmtree(caltech / "BACKGROUND_Google")  # no class, so nobody needs it
    assert len(texts(DATASETS["caltech101"].source(tmp_path, "all"))) == 101
    shutil.rmtree(caltech / "airplanes")
    with pytest.raises(InputError, match="101 folders of classes; holds 100"):
        DATASETS["caltech101"].source(tmp_path, "all")


def test_an_image_that_is_not_there_is_named_not_fatal(tmp_path: Path) -> None:
    place = built("oxford-pets", tmp_path)
    (place / "images" / "Bengal_3.jpg").unlink()
    source = DATASETS["oxford-pets"].source(tmp_path)
    assert absent(source) == (1, [str(place / "images" / "Bengal_3.jpg")])
    assert source.media is not None
    with pytest.raises(FileError, match="found no "):
        source.media[3]


def test_a_folder_of_a_common_name_is_not_taken_for_the_data_set(tmp_path: Path) -> None:
    draw(tmp_path / "data" / "images" / "holiday.jpg")
    built("fgvc-aircraft", tmp_path, "fgvc_aircraft")
    assert len(names(DATASETS["fgvc-aircraft"].source(tmp_path))) == 3
