"""Layouts of captions, retrieval, attributes and texts."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from layouts.drawing import draw, write
from layouts.items import mixbench, modal_equiv

KARPATHY_SPLITS = ("train", "test", "val", "test", "restval")


def coco(folder: Path) -> None:
    """Annotations in no order, an image without captions, and a caption of no image."""
    for split in ("val2017", "train2017", "val2014", "train2014"):
        prefix = f"COCO_{split}_" if "2014" in split else ""
        images = [{"id": i, "file_name": f"{prefix}{i:012d}.jpg"} for i in (30, 10, 20)]
        notes = [
            {"id": 1, "image_id": 10, "caption": f"ten of {split}"},
            {"id": 2, "image_id": 30, "caption": f"thirty of {split}"},
            {"id": 3, "image_id": 99, "caption": "of nothing"},
            {"id": 4, "image_id": 10, "caption": f"ten again of {split}"},
            {"id": 5, "image_id": 30, "caption": ""},
        ]
        path = folder / "annotations" / f"captions_{split}.json"
        write(path, json.dumps({"info": {}, "images": images, "annotations": notes}))
        for image in images:
            draw(folder / split / str(image["file_name"]), int(str(image["id"])))
    karpathy(folder / "dataset_coco.json", "coco")


def karpathy(path: Path, name: str) -> None:
    """Five images with two sentences each, or one; COCO's in two folders."""
    images = []
    for i, split in enumerate(KARPATHY_SPLITS):
        if name == "coco":
            place = "val2014" if split in ("test", "val") else "train2014"
            where = {"filepath": place, "filename": f"COCO_{place}_{i:012d}.jpg", "cocoid": i}
        elif name == "flickr8k":
            where = {"filename": f"10{i}_ab.jpg"}
        else:
            where = {"filename": f"100{i}.jpg"}
        said = [f"{name} {i} {letter}" for letter in "ab"[: 1 + i % 2]]
        images.append(
            {
                **where,
                "imgid": i,
                "split": "train" if split == "restval" and name != "coco" else split,
                "sentids": [2 * i + k for k in range(len(said))],
                "sentences": [
                    {"raw": each, "tokens": each.split(), "imgid": i, "sentid": 2 * i + k}
                    for k, each in enumerate(said)
                ],
            }
        )
        if name == "coco":
            draw(path.parent / str(where["filepath"]) / str(where["filename"]), i)
    write(path, json.dumps({"images": images, "dataset": name}))


def flickr8k(folder: Path) -> None:
    names = [f"10{i}_ab.jpg" for i in range(5)]
    for i, name in enumerate(names):
        draw(folder / "Flicker8k_Dataset" / name, i)
    rows = [
        *(f"{name}#{k}\tcaption {k} of {name} ." for name in names for k in range(2)),
        "999_cd.jpg.1#0\ta caption of an image that is not there",  # as in the original
    ]
    write(folder / "Flickr8k.token.txt", "".join(f"{row}\n" for row in rows))
    for split, some in (("train", names[:2]), ("dev", names[2:3]), ("test", names[:2:-1])):
        write(folder / f"Flickr_8k.{split}Images.txt", "".join(f"{name}\n" for name in some))
    karpathy(folder / "dataset_flickr8k.json", "flickr8k")


def flickr30k(folder: Path) -> None:
    names = [f"100{i}.jpg" for i in range(5)]
    for i, name in enumerate(names):
        draw(folder / "flickr30k-images" / name, i)
    rows = [f"{name}#{k}\tAn animal , number {k} of {name} ." for name in names for k in range(2)]
    write(folder / "results_20130124.token", "".join(f"{row}\n" for row in rows))
    karpathy(folder / "dataset_flickr30k.json", "flickr30k")


def nocaps(folder: Path) -> None:
    images = [
        {"id": i, "file_name": f"00{i}ea.jpg", "domain": f"{domain}-domain", "open_images_id": "x"}
        for i, domain in enumerate(("near", "in", "out"))
    ]
    notes = [{"id": k, "image_id": i, "caption": f"{k}"} for k, i in enumerate((2, 0, 1, 0, 2))]
    path = folder / "nocaps_val_4500_captions.json"
    write(path, json.dumps({"images": images, "annotations": notes}))
    for image in images:
        draw(folder / "images" / str(image["file_name"]), int(str(image["id"])))


def dci(folder: Path) -> None:
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for i, split in enumerate(("train", "test", "valid", "test")):
        name = f"{112956 + i}-data.json"
        splits[split].append(name)
        entry = {
            "image": f"sa_{i}.jpg",
            "short_caption": f"short {i}",
            "extra_caption": f"extra {i}" if i else "",
            "mask_data": {},
            "mask_keys": [],
            "summaries": {"base": [f"summary {i} {k}" for k in range(2)], "1": ["of a part"]},
        }
        write(folder / "complete" / name, json.dumps(entry))
        draw(folder / "photos" / f"sa_{i}.jpg", i)
    write(folder / "splits.json", json.dumps(splits))


def shard(path: Path, samples: Sequence[tuple[str, str | None]]) -> None:
    """A tar of images and captions, as img2dataset writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for i, (key, caption) in enumerate(samples):
            file = io.BytesIO()
            Image.fromarray(np.full((6, 8, 3), i, np.uint8)).save(file, "JPEG")
            members = {"jpg": file.getvalue(), "json": json.dumps({"key": key}).encode()}
            if caption is not None:
                members["txt"] = caption.encode()
            for ending, data in members.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def cc3m(folder: Path) -> None:
    shard(folder / "validation" / "00001.tar", [("000010000", "third")])
    shard(folder / "validation" / "00000.tar", [("000000000", "first"), ("000000001", "second")])
    shard(folder / "cc3m-train-0000.tar", [("0", "a"), ("1", None), ("2", "c")])


def cc12m(folder: Path) -> None:
    shard(folder / "00000.tar", [("000000000", "first"), ("000000001", "second")])


def cub(folder: Path) -> None:
    classes = {1: "001.Black_footed_Albatross", 2: "002.Laysan_Albatross", 101: "101.White_Pelican"}
    images = {3: (1, 0), 1: (2, 1), 4: (101, 0), 2: (101, 1)}  # class, is for training
    tables: dict[str, dict[int, str]] = {
        "classes": classes,
        "images": {i: f"{classes[c]}/{classes[c][4:]}_{i}.jpg" for i, (c, _) in images.items()},
        "image_class_labels": {i: str(images[i][0]) for i in sorted(images)},
        "train_test_split": {i: str(images[i][1]) for i in sorted(images)},
    }
    for name, rows in tables.items():
        write(folder / f"{name}.txt", "".join(f"{i} {value}\n" for i, value in rows.items()))
    for i, path in tables["images"].items():
        draw(folder / "images" / path, i)


def sop(folder: Path) -> None:
    rows = {
        "train": [(1, 1, 1, "bicycle_final/11_0.JPG"), (2, 1, 1, "bicycle_final/11_1.JPG")],
        "test": [(3, 8, 8, "mug_final/22_0.JPG"), (4, 9, 4, "coffee_maker_final/33_0.JPG")],
    }
    for split, images in rows.items():
        lines = ["image_id class_id super_class_id path", *(" ".join(map(str, r)) for r in images)]
        write(folder / f"Ebay_{split}.txt", "\n".join(lines))
        for number, _, _, path in images:
            draw(folder / path, number)


def revisited(folder: Path, name: str, **changes: Any) -> None:
    truth: dict[str, Any] = {
        "imlist": ["all_souls_1", "keble_2", "oxford_3", "all_souls_4"],
        "qimlist": ["all_souls_9", "keble_2"],
        "gnd": [
            {"bbx": [1.0, 2.0, 7.4, 8.0], "easy": [3, 0], "hard": [], "junk": [1]},
            {"bbx": np.array([0, 0, 12, 10]), "easy": np.array([], np.int64), "hard": [1],
             "junk": np.array([0, 2])},
        ],
    }  # fmt: skip
    truth |= changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"gnd_{name}.pkl").write_bytes(pickle.dumps(truth, protocol=2))
    for i, image in enumerate(sorted({*map(str, truth["imlist"]), *truth["qimlist"]})):
        draw(folder / "jpg" / f"{image}.jpg", i)


def roxford5k(folder: Path) -> None:
    revisited(folder, "roxford5k")


def rparis6k(folder: Path) -> None:
    revisited(folder, "rparis6k")


def compositions(folder: Path, items: Sequence[tuple[str, str, str, str]], spaces: bool) -> None:
    """(attribute, object, file, split) of each image; ``spaces`` in folders, as MIT-States has."""
    metadata = [
        {"image": f"{a}_{o}/{file}", "attr": a, "obj": o, "set": part, "_image": f"x/{file}"}
        for a, o, file, part in items
    ]
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(metadata, folder / "metadata_compositional-split-natural.t7")
    for split in ("train", "val", "test"):
        pairs = dict.fromkeys(f"{a} {o}" for a, o, _, part in items if part == split and a != "NA")
        pairs["unseen thing"] = None  # a pair without images is a class all the same
        text = "\n".join(pairs)
        write(folder / "compositional-split-natural" / f"{split}_pairs.txt", text)
    for i, (a, o, file, _) in enumerate(items):
        draw(folder / "images" / f"{a}{' ' if spaces else '_'}{o}" / file, i)


def mit_states(folder: Path) -> None:
    items = [
        ("sliced", "apple", "1.jpg", "test"),
        ("ripe", "apple", "1.jpg", "test"),
        ("sliced", "apple", "2.jpg", "test"),
        ("NA", "apple", "3.jpg", "test"),
        ("old", "ice_cream", "4.jpg", "train"),
        ("old", "dog", "5.jpg", "NA"),
        ("young", "dog", "6.jpg", "val"),
    ]
    compositions(folder, items, spaces=True)
    (folder / "images" / "old ice_cream").rename(folder / "images" / "old ice cream")


def ut_zappos(folder: Path) -> None:
    items = [
        ("Faux.Fur", "Boots.Ankle", "7153824.72.jpg", "test"),
        ("Leather", "Boots.Ankle", "7153824.73.jpg", "test"),
        ("Leather", "Sandals", "7.1.jpg", "train"),
        ("Nylon", "Sandals", "7.2.jpg", "val"),
    ]
    compositions(folder, items, spaces=False)


def newsgroups(folder: Path) -> None:
    for split in ("test", "train"):
        for group, number in (("sci.space", 10), ("alt.atheism", 53068), ("alt.atheism", 9)):
            path = folder / f"20news-bydate-{split}" / group / str(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            said = f"From: a@b\r\n\r\n{split} {number}: caf\xe9 \xa7\n\n> quoted\n--\nme\n"
            path.write_bytes(said.encode("latin-1"))


def imdb(folder: Path) -> None:
    for split in ("test", "train"):
        for kind, name in (("pos", "0_10"), ("pos", "10_9"), ("neg", "2_3"), ("neg", "1_1")):
            write(folder / split / kind / f"{name}.txt", f"{split} {kind} {name}<br />café")
    write(folder / "train" / "unsup" / "0_0.txt", "without a label")


def table(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def nanobeir(folder: Path) -> None:
    """Queries in no order, several relevant documents, and one that is not there."""
    from modalgap.data import DATASETS

    part = "train-00000-of-00001.parquet"
    for name in DATASETS["nanobeir"].card.splits:
        texts = [f"{name} document {i}" for i in range(4)]
        table(folder / name / "corpus" / part, {"_id": ["d0", "d1", "d2", "d3"], "text": texts})
        queries = {"_id": ["q0", "q1", "q2", "q3"], "text": ["zero", "one", "two", "three"]}
        table(folder / name / "queries" / part, queries)
        judged = [("q1", "d3"), ("q0", "d2"), ("q1", "d0"), ("q2", "d9"), ("q0", "d2")]
        columns = {"query-id": [q for q, _ in judged], "corpus-id": [d for _, d in judged]}
        table(folder / name / "qrels" / part, columns)


BUILD = {
    "cc12m": cc12m,
    "cc3m": cc3m,
    "coco": coco,
    "coco-modal-equiv": modal_equiv,
    "cub": cub,
    "dci": dci,
    "flickr30k": flickr30k,
    "flickr8k": flickr8k,
    "imdb": imdb,
    "mit-states": mit_states,
    "mixbench": mixbench,
    "nanobeir": nanobeir,
    "newsgroups": newsgroups,
    "nocaps": nocaps,
    "roxford5k": roxford5k,
    "rparis6k": rparis6k,
    "sop": sop,
    "ut-zappos": ut_zappos,
}
