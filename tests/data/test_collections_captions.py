"""Data sets of captions, retrieval, attributes and texts: exactly what their files say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.collection_cases import captions, media, read, refusal
from layouts import collections
from layouts.drawing import write

from modalgap.data.pixels import decode


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change the value in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_coco(built: Callable[[str], Path]) -> None:
    folder = built("coco")
    for split in ("val2017", "train2017", "val2014", "train2014"):
        prefix = f"COCO_{split}_" if "2014" in split else ""
        source = read("coco", folder, split)
        names = [f"{prefix}{i:012d}.jpg" for i in (30, 10, 20)]
        assert list(media(source).names) == names
        assert captions(source) == [
            (names[0], f"thirty of {split}"),
            (names[0], ""),
            (names[1], f"ten of {split}"),
            (names[1], f"ten again of {split}"),
        ]
        assert source.missing == (("caption 3", "its image 99 is missing"),)
        assert media(source)[1] == (folder / split / names[1]).read_bytes()
    assert read("coco", folder).provenance["split"] == "val2017"


def test_coco_refuses_an_id_that_is_there_twice(built: Callable[[str], Path]) -> None:
    folder = built("coco")
    path = folder / "annotations" / "captions_val2017.json"
    edit(path, lambda value: value["images"][2].update(id=10))
    assert "000000000020.jpg: its id 10 occurs twice" in refusal("coco", folder)


def test_captions_without_any_caption(built: Callable[[str], Path]) -> None:
    folder = built("coco")
    path = folder / "annotations" / "captions_val2017.json"
    edit(path, lambda value: value.update(annotations=[]))
    assert "must hold captions of these images; found none" in refusal("coco", folder)


def test_coco_of_karpathy(built: Callable[[str], Path]) -> None:
    folder = built("coco")
    test = read("coco", folder, "karpathy-test")
    names = ["val2014/COCO_val2014_000000000001.jpg", "val2014/COCO_val2014_000000000003.jpg"]
    assert captions(test) == [
        (names[i // 2], f"coco {1 + i // 2 * 2} {'ab'[i % 2]}") for i in range(4)
    ]
    assert media(test)[1] == (folder / names[1]).read_bytes()
    val = read("coco", folder, "karpathy-val")
    assert captions(val) == [("val2014/COCO_val2014_000000000002.jpg", "coco 2 a")]
    train = read("coco", folder, "karpathy-train")  # with restval
    assert list(media(train).names) == [f"train2014/COCO_train2014_{i:012d}.jpg" for i in (0, 4)]
    assert train.texts == ["coco 0 a", "coco 4 a"]


def test_karpathy_refuses_what_does_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("flickr8k")
    path = folder / "dataset_flickr8k.json"
    kept = path.read_text()
    changes: list[tuple[Callable[[Any], Any], str]] = [
        (lambda v: v["images"][1]["sentences"][0].update(imgid=2), "has a sentence of image 2"),
        (lambda v: v["images"][1]["sentences"].pop(), "as many sentences as sentence ids"),
        (lambda v: v["images"][1].update(imgid=0, sentences=[], sentids=[]), "id 0 occurs twice"),
        (lambda v: v["images"][3].update(filename="101_ab.jpg"), "101_ab.jpg: occurs twice"),
        (lambda v: v["images"][1]["sentences"][0].update(raw=None), "must be a string"),
        (lambda v: v["images"][1].pop("filename"), "must have the field 'filename'"),
        (lambda v: [i.update(split="train") for i in v["images"]], "images of test; found none"),
    ]
    for change, why in changes:
        path.write_text(kept)
        edit(path, change)
        assert why in refusal("flickr8k", folder, "karpathy-test")


def test_flickr8k(built: Callable[[str], Path]) -> None:
    folder = built("flickr8k")
    expected = {"test": (4, 3), "dev": (2,), "train": (0, 1)}
    for split, images in expected.items():
        source = read("flickr8k", folder, split)
        assert captions(source) == [
            (f"10{i}_ab.jpg", f"caption {k} of 10{i}_ab.jpg .") for i in images for k in range(2)
        ]
        assert media(source)[0] == (folder / f"Flicker8k_Dataset/10{images[0]}_ab.jpg").read_bytes()
    assert captions(read("flickr8k", folder, "karpathy-val")) == [("102_ab.jpg", "flickr8k 2 a")]


def test_flickr8k_that_does_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("flickr8k")
    token = folder / "Flickr8k.token.txt"
    rows = token.read_text().splitlines()
    odd = "a\u2028b \x0b c"  # characters at which splitlines would split
    token.write_text("\r\n".join(["104_ab.jpg#1\t", f"103_ab.jpg#0\t{odd}"]), encoding="utf-8")
    assert captions(read("flickr8k", folder)) == [("104_ab.jpg", ""), ("103_ab.jpg", odd)]
    token.write_text("\n".join([*rows, "104_ab.jpg without a caption"]))
    assert "row 12 must hold an image and a caption" in refusal("flickr8k", folder)
    token.write_text("\n".join(rows[:4]))
    assert "found none" in refusal("flickr8k", folder)
    write(folder / "Flickr_8k.testImages.txt", "104_ab.jpg\n104_ab.jpg\n")
    assert "104_ab.jpg occurs twice" in refusal("flickr8k", folder)


def test_flickr30k(built: Callable[[str], Path]) -> None:
    folder = built("flickr30k")
    assert read("flickr30k", folder).provenance["split"] == "karpathy-test"
    assert captions(read("flickr30k", folder)) == [
        (f"100{i}.jpg", f"flickr30k {i} {letter}") for i in (1, 3) for letter in "ab"
    ]
    assert read("flickr30k", folder, "karpathy-train").texts == ["flickr30k 0 a", "flickr30k 4 a"]


@pytest.mark.parametrize("name", ["flickr8k", "flickr30k"])
def test_flickr_as_torchvision_reads_it(name: str, built: Callable[[str], Path]) -> None:
    vision = pytest.importorskip("torchvision.datasets")
    folder = built(name)
    token = "Flickr8k.token.txt" if name == "flickr8k" else "results_20130124.token"
    images = folder / ("Flicker8k_Dataset" if name == "flickr8k" else "flickr30k-images")
    shutil.copy(
        images / ("100_ab.jpg" if name == "flickr8k" else "1000.jpg"), images / "999_cd.jpg.1"
    )
    theirs = vision.Flickr30k(str(images), str(folder / token))  # both have the same list
    splits = ("test", "dev", "train") if name == "flickr8k" else ("all",)
    for split in splits:
        source = read(name, folder, split)
        for i, image in enumerate(media(source).names):
            pixels, said = theirs[theirs.ids.index(image)]
            found = media(source)[i]
            assert isinstance(found, bytes)
            np.testing.assert_array_equal(np.asarray(decode(found)), np.asarray(pixels))
            assert [text for owner, text in captions(source) if owner == image] == said


def test_flickr30k_as_kaggle_has_it(built: Callable[[str], Path]) -> None:
    folder = built("flickr30k")
    expected = captions(read("flickr30k", folder, "all"))
    (folder / "results_20130124.token").unlink()
    assert "needs" in refusal("flickr30k", folder, "all")
    assert "results.csv or captions.txt" in refusal("flickr30k", folder, "all")
    images = folder / "flickr30k_images" / "flickr30k_images"
    images.parent.mkdir()
    (folder / "flickr30k-images").rename(images)
    rows = [f"{name}| {i % 2}| {said}" for i, (name, said) in enumerate(expected)]
    rows[3] = rows[3].replace("1|", "1  ")  # a bar is missing in one row of the original
    write(images.parent / "results.csv", "\n".join(["image_name| comment_number| comment", *rows]))
    assert captions(read("flickr30k", folder, "all")) == expected
    assert media(read("flickr30k", folder))[0] == (images / "1001.jpg").read_bytes()
    rows[3] = "1001.jpg| and nothing"
    write(images.parent / "results.csv", "\n".join(["image_name| comment_number| comment", *rows]))
    assert "row 5 must hold an image" in refusal("flickr30k", folder, "all")
    (images.parent / "results.csv").unlink()
    rows = [f"{name},{i % 2},{said}" for i, (name, said) in enumerate(expected)]
    rows[1] = '1000.jpg,1,"An animal , number 1 of 1000.jpg ."'
    write(folder / "captions.txt", "\n".join(["image_name,comment_number,comment", *rows, ""]))
    assert captions(read("flickr30k", folder, "all")) == expected
    rows = [f"{name},{said}" for name, said in expected]
    write(folder / "captions.txt", "\r\n".join(["image,caption", *rows]))
    assert captions(read("flickr30k", folder, "all")) == expected
    write(folder / "captions.txt", "\n".join(["image,caption", '1000.jpg,"no end', *rows]))
    assert "must end its quotes" in refusal("flickr30k", folder, "all")
    write(folder / "captions.txt", "\n".join(["image,caption", *rows, "1000.jpg"]))
    assert "row 12 must hold an image" in refusal("flickr30k", folder, "all")
    write(folder / "captions.txt", "\n".join(rows))
    assert "its first row is '1000.jpg," in refusal("flickr30k", folder, "all")


def test_nocaps(built: Callable[[str], Path]) -> None:
    folder = built("nocaps")
    source = read("nocaps", folder)
    assert list(media(source).names) == ["000ea.jpg", "001ea.jpg", "002ea.jpg"]
    assert source.factors == {"domain": ["near", "in", "out"]}
    assert [text for _, text in captions(source)] == ["1", "3", "2", "0", "4"]
    path = folder / "nocaps_val_4500_captions.json"
    kept = path.read_text()
    changes: list[tuple[Callable[[Any], Any], str]] = [
        (lambda v: v["images"][0].update(domain="far"), "000ea.jpg: domain must be one of"),
        (lambda v: v["images"][0].pop("domain"), "must have the field 'domain'"),
        (lambda v: v["images"][0].update(id=1), "its id 1 occurs twice"),
        (lambda v: v["images"][0].update(file_name="001ea.jpg"), "must have one domain"),
    ]
    for change, why in changes:
        path.write_text(kept)
        edit(path, change)
        assert why in refusal("nocaps", folder)


def test_dci(built: Callable[[str], Path]) -> None:
    folder = built("dci")
    assert captions(read("dci", folder)) == [("sa_1.jpg", "short 1"), ("sa_3.jpg", "short 3")]
    assert captions(read("dci", folder, "valid")) == [("sa_2.jpg", "short 2")]
    assert read("dci", folder, "train-long").texts == ["short 0"]  # nothing was added to it
    assert read("dci", folder, "test-long").texts == ["short 1\nextra 1", "short 3\nextra 3"]
    assert captions(read("dci", folder, "test-summaries")) == [
        (f"sa_{i}.jpg", f"summary {i} {k}") for i in (1, 3) for k in range(2)
    ]
    assert list(media(read("dci", folder, "all")).names) == [f"sa_{i}.jpg" for i in (1, 3, 2, 0)]
    (folder / "complete").rename(folder / "annotations")
    assert read("dci", folder).texts == ["short 1", "short 3"]


def test_dci_that_lacks_something(built: Callable[[str], Path]) -> None:
    folder = built("dci")
    entries = folder / "complete"
    edit(entries / "112957-data.json", lambda value: value.pop("summaries"))
    edit(entries / "112959-data.json", lambda value: value["summaries"].update(base="one string"))
    source = read("dci", folder, "test-summaries")
    assert captions(source) == [("sa_3.jpg", "one string")]
    assert source.missing == (("sa_1.jpg", "no summary"),)
    (entries / "112957-data.json").unlink()
    source = read("dci", folder)
    assert captions(source) == [("sa_3.jpg", "short 3")]
    assert source.missing[0][0] == "112957-data.json"
    edit(entries / "112959-data.json", lambda value: value.update(short_caption=3))
    assert "short_caption: a caption must be a string" in refusal("dci", folder)
    edit(folder / "splits.json", lambda value: value["test"].append("112957-data.json"))
    assert "112957-data.json occurs twice" in refusal("dci", folder)


def test_shards(built: Callable[[str], Path]) -> None:
    folder = built("cc3m")
    source = read("cc3m", folder)
    assert captions(source) == [
        ("00000.tar/000000000.jpg", "first"),
        ("00000.tar/000000001.jpg", "second"),
        ("00001.tar/000010000.jpg", "third"),
    ]
    train = read("cc3m", folder, "train")
    prefix = "cc3m-train-0000.tar"
    assert captions(train) == [(f"{prefix}/0.jpg", "a"), (f"{prefix}/2.jpg", "c")]
    assert list(media(train).names) == [f"{prefix}/{i}.jpg" for i in range(3)]
    found = media(train)[2]
    assert isinstance(found, bytes)
    assert np.asarray(decode(found)).mean() == pytest.approx(2, abs=1)
    collections.shard(folder / "validation" / "00000.tar", [("0", None)])
    (folder / "validation" / "00001.tar").unlink()
    assert "must hold captions" in refusal("cc3m", folder)
    (folder / "validation" / "00000.tar").unlink()
    assert f"needs {folder / 'validation'}/*.tar, or cc3m-" in refusal("cc3m", folder)
    folder = built("cc12m")
    assert read("cc12m", folder).texts == ["first", "second"]


def test_shards_as_datasets_reads_them(built: Callable[[str], Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = built("cc12m")
    theirs = datasets.load_dataset(
        "webdataset",
        data_files={"train": str(folder / "*.tar")},
        cache_dir=str(tmp_path / "cache"),
        split="train",
        streaming=True,
    )
    source = read("cc12m", folder)
    for i, row in enumerate(theirs):
        found = media(source)[i]
        assert isinstance(found, bytes)
        np.testing.assert_array_equal(np.asarray(decode(found)), np.asarray(row["jpg"]))
        assert captions(source)[i] == (f"00000.tar/{row['__key__']}.jpg", row["txt"])
    assert i == 1
