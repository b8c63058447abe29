"""Layouts of the sets of images with one class each."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from layouts.drawing import draw, write
from modalgap.data.imagenet import wnids
from modalgap.data.sets._shared import listed

EUROSAT = [
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
]
CALTECH = ["Faces", "Faces_easy", "Leopards", "Motorbikes", "airplanes", "car_side"]


def _stamp() -> bytes:
    """One small JPEG: the many images of ImageNet's classes may all be the same."""
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, "JPEG")
    return file.getvalue()


def stamp(path: Path, data: bytes = _stamp()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def zhou(folder: Path, file: str, images: str, items: list[tuple[str, str]]) -> None:
    """A split file of CoOp with one image a part, (path, class) in train, val and test."""
    numbers = {name: i for i, (_, name) in enumerate(items)}
    rows = [[path, numbers[name], name] for path, name in items]
    for i, (path, _) in enumerate(items):
        draw(folder / images / path, i)
    write(folder / file, json.dumps({"train": rows[:1], "val": rows[1:], "test": rows}))


# ImageNet --------------------------------------------------------------------------------------


def imagenet(folder: Path, splits: tuple[str, ...] = ("val", "train")) -> None:
    for split in splits:
        for i, wnid in enumerate(wnids()):
            stamp(folder / split / wnid / f"ILSVRC2012_{split}_{i:08d}.JPEG")


def imagenet_100(folder: Path, name: str) -> None:
    for wnid in listed(name):
        stamp(folder / "val" / wnid / "ILSVRC2012_val_1.JPEG")
    stamp(folder / "val" / "n99999999" / "of_another_class.JPEG")


def imagenet_100_cmc(folder: Path) -> None:
    imagenet_100(folder, "imagenet_100_cmc.txt")


def imagenet_100_mcm(folder: Path) -> None:
    imagenet_100(folder, "imagenet_100_mcm.txt")


def imagenet_100_kaggle(folder: Path) -> None:
    for i, wnid in enumerate(listed("imagenet_100_kaggle.txt")):
        stamp(folder / "val.X" / wnid / "ILSVRC2012_val_1.JPEG")
        stamp(folder / f"train.X{i // 25 + 1}" / wnid / f"{wnid}_1.JPEG")
    write(folder / "Labels.json", "{}")


def imagenet_a(folder: Path) -> None:
    for wnid in listed("imagenet_a.txt"):
        stamp(folder / wnid / "0.000116_digital clock _ digital clock_0.865662.jpg")
    write(folder / "README.txt", "")


def imagenet_r(folder: Path) -> None:
    for wnid in listed("imagenet_r.txt"):
        stamp(folder / wnid / "art_0.jpg")


def imagenet_sketch(folder: Path) -> None:
    for wnid in wnids():
        stamp(folder / "sketch" / wnid / "sketch_0.JPEG")


def imagenet_v2(folder: Path) -> None:
    for label in range(1000):
        stamp(folder / str(label) / f"{label:040x}.jpeg")


# Arrays ------------------------------------------------------------------------------------------


def pixels(n: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, *shape), np.uint8)


def pickled(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, 2))


def cifar10(folder: Path) -> None:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"]
    pickled(folder / "batches.meta", {"label_names": [*names, "truck"], "num_vis": 3072})
    for name, n in {"test_batch": 12, **{f"data_batch_{i}": 10 + i for i in range(1, 6)}}.items():
        labels = [(7 * i + n) % 10 for i in range(n)]
        batch = {"batch_label": name, "labels": labels, "data": pixels(n, 3072)}
        pickled(folder / name, batch | {"filenames": [f"{i}.png" for i in range(n)]})


def cifar100(folder: Path) -> None:
    fine = ["apple", "aquarium_fish", "baby"]
    meta = {"fine_label_names": fine, "coarse_label_names": ["fish", "fruit_and_vegetables"]}
    pickled(folder / "meta", meta)
    for name, n in {"test": 4, "train": 5}.items():
        labels = {"fine_labels": [i % 3 for i in range(n)], "coarse_labels": [1, 0, 1, 1, 0][:n]}
        pickled(folder / name, labels | {"data": pixels(n, 3072), "filenames": ["a.png"] * n})


def idx(values: NDArray[np.uint8]) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def mnist(folder: Path) -> None:
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for stem, n in {"t10k": 12, "train": 21}.items():
        labels = np.arange(n, dtype=np.uint8) * 3 % 10
        files = {"images-idx3-ubyte": pixels(n, 28, 28), "labels-idx1-ubyte": labels}
        for name, values in files.items():
            (raw / f"{stem}-{name}.gz").write_bytes(gzip.compress(idx(values)))


def svhn(folder: Path) -> None:
    folder.mkdir(parents=True)
    for split, n in {"test": 11, "train": 20, "extra": 10}.items():
        labels = np.arange(n, dtype=np.uint8)[:, None] % 10 + 1  # 10 is the digit 0
        images = np.moveaxis(pixels(n, 32, 32, 3), 0, 3)
        savemat(folder / f"{split}_32x32.mat", {"X": images, "y": labels})


# Lists and folders --------------------------------------------------------------------------------


def eurosat(folder: Path) -> None:
    for i, name in enumerate(EUROSAT):
        for j in (1, 10, 2):
            draw(folder / "2750" / name / f"{name}_{j}.jpg", 10 * i + j)
    items = [
        ("AnnualCrop/AnnualCrop_2.jpg", "Annual Crop Land"),
        ("SeaLake/SeaLake_10.jpg", "Sea or Lake"),
    ]
    zhou(folder, "split_zhou_EuroSAT.json", "2750", items)


def caltech101(folder: Path) -> None:
    images = folder / "101_ObjectCategories"
    names = [*CALTECH, *(f"thing_{i}" for i in range(101 - len(CALTECH)))]
    for i, name in enumerate(["BACKGROUND_Google", *names]):
        for j in (1, 2):
            draw(images / name / f"image_{j:04d}.jpg", 2 * i + j)
    items = [("airplanes/image_0002.jpg", "airplane"), ("Faces/image_0001.jpg", "face")]
    zhou(folder, "split_zhou_Caltech101.json", "101_ObjectCategories", items)


def food101(folder: Path) -> None:
    listed = {"churros": ["churros/3", "churros/1"], "apple_pie": ["apple_pie/20"]}
    for split in ("test", "train"):
        write(folder / "meta" / f"{split}.json", json.dumps(listed))
    write(folder / "meta" / "classes.txt", "apple_pie\nchurros\n")
    for i, name in enumerate([each for names in listed.values() for each in names]):
        draw(folder / "images" / f"{name}.jpg", i)


def flowers102(folder: Path) -> None:
    labels = (np.arange(206) * 5 % 102 + 1).astype(np.uint8)
    order = np.random.default_rng(0).permutation(206) + 1
    for i in order:
        draw(folder / "jpg" / f"image_{i:05d}.jpg", int(i))
    savemat(folder / "imagelabels.mat", {"labels": labels})
    parts = {"trnid": np.arange(1, 104), "valid": np.arange(50, 160), "tstid": order}
    savemat(folder / "setid.mat", {key: value.astype(np.uint16) for key, value in parts.items()})


def oxford_pets(folder: Path) -> None:
    names = ["Abyssinian_201", "american_bulldog_7", "american_bulldog_1", "Bengal_3"]
    rows = [f"{name} {label} 1 1" for name, label in zip(names, (1, 2, 2, 3), strict=True)]
    for split in ("test", "trainval"):
        write(folder / "annotations" / f"{split}.txt", "\n".join(rows) + "\n")
    for i, name in enumerate(names):
        draw(folder / "images" / f"{name}.jpg", i)


def stanford_cars(folder: Path) -> None:
    names = np.array(["AM General Hummer SUV 2000", "Audi TT RS Coupe 2012"], object)
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    files = {"test": "cars_test_annos_withlabels.mat", "train": "devkit/cars_train_annos.mat"}
    for split, file in files.items():
        rows = [(5.0, np.uint8(2), "00001.jpg"), (6.0, np.uint8(1), "00002.jpg")]
        kinds = [("bbox_x1", object), ("class", object), ("fname", object)]
        savemat(folder / file, {"annotations": np.array(rows, kinds)})
        for i, (_, _, name) in enumerate(rows):
            draw(folder / f"cars_{split}" / name, i + len(split))


def fgvc_aircraft(folder: Path) -> None:
    write(folder / "variants.txt", "707-320\nBoeing 717\nF-16A/B\n")
    rows = {"0034309": "Boeing 717", "1": "F-16A/B", "0034958": "707-320"}
    for split in ("test", "train", "val", "trainval"):
        lines = [f"{name} {variant}" for name, variant in rows.items()]
        write(folder / f"images_variant_{split}.txt", "\n".join(lines) + "\n")
    for i, name in enumerate(rows):
        draw(folder / "images" / f"{name}.jpg", i)


def sun397(folder: Path) -> None:
    images = ["/a/abbey/sun_b.jpg", "/c/church/outdoor/sun_a.jpg", "/a/art_gallery/sun_c.jpg"]
    write(folder / "SUN397" / "ClassName.txt", "/a/abbey\n/a/art_gallery\n/c/church/outdoor\n")
    for file in ("Testing_01.txt", "Training_01.txt"):
        write(folder / file, "\n".join(images) + "\n")
    for i, name in enumerate(images):
        draw(folder / "SUN397" / name[1:], i)


def ucf101(folder: Path) -> None:
    lists = folder / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 ApplyEyeMakeup\n2 HandstandPushups\n3 YoYo\n")
    videos = {
        "YoYo/v_YoYo_g01_c01.avi": 3,
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c02.avi": 1,
        "HandstandPushups/v_HandStandPushups_g01_c01.avi": 2,
    }
    write(lists / "testlist01.txt", "\n".join(videos) + "\n")
    write(lists / "trainlist01.txt", "".join(f"{name} {i}\n" for name, i in videos.items()))
    frames = folder / "UCF-101-midframes"
    draw(frames / "Yo_Yo" / "v_YoYo_g01_c01.jpg", 0)
    draw(frames / "Apply_Eye_Makeup" / "v_ApplyEyeMakeup_g01_c02.jpg", 1)
    draw(frames / "Handstand_Pushups" / "v_HandStandPushups_g01_c01.jpg", 2)


def hateful_memes(folder: Path) -> None:
    rows = [
        {"id": 1456, "img": "img/01456.png", "label": 1, "text": "a text on\nthe image"},
        {"id": 82301, "img": "img/82301.png", "label": 0, "text": "another"},
    ]
    for i, row in enumerate(rows):
        draw(folder / str(row["img"]), i)
    for split in ("dev_seen", "train"):
        write(folder / f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    without = [{key: value for key, value in row.items() if key != "label"} for row in rows]
    write(folder / "test_seen.jsonl", "".join(json.dumps(row) + "\n" for row in without))


def fairface(folder: Path, place: str = "fairface-img-margin025-trainval") -> None:
    rows = [
        "file,age,gender,race,service_test",
        "val/1.jpg,3-9,Male,East Asian,False",
        "val/2.jpg,more than 70,Female,Latino_Hispanic,True",
        "val/3.jpg,20-29,Female,White,True",
    ]
    write(folder / "fairface_label_val.csv", "\n".join(rows) + "\n")
    for i in (1, 2, 3):
        draw(folder / place / "val" / f"{i}.jpg", i)


BUILD = {
    "caltech101": caltech101,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "eurosat": eurosat,
    "fairface": fairface,
    "fgvc-aircraft": fgvc_aircraft,
    "flowers102": flowers102,
    "food101": food101,
    "hateful-memes": hateful_memes,
    "imagenet": imagenet,
    "imagenet-100-cmc": imagenet_100_cmc,
    "imagenet-100-kaggle": imagenet_100_kaggle,
    "imagenet-100-mcm": imagenet_100_mcm,
    "imagenet-a": imagenet_a,
    "imagenet-r": imagenet_r,
    "imagenet-sketch": imagenet_sketch,
    "imagenet-v2": imagenet_v2,
    "mnist": mnist,
    "oxford-pets": oxford_pets,
    "stanford-cars": stanford_cars,
    "sun397": sun397,
    "svhn": svhn,
    "ucf101": ucf101,
}
