"""Data sets of captions, retrieval, attributes and texts: exactly what their files say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from layouts import collections
from layouts.drawing import write
from PIL import Image
from sklearn.datasets import load_files

from modalgap import errors
from modalgap.data import DATASETS, Documents, Source
from modalgap.data.media import Media
from modalgap.data.pixels import decode

PAIRS = "compositional-split-natural/test_pairs.txt"
METADATA = "metadata_compositional-split-natural.t7"


@pytest.fixture
def built(tmp_path: Path) -> Callable[[str], Path]:
    """Lay out a data set; give its folder."""

    def build(name: str) -> Path:
        folder = tmp_path / DATASETS[name].card.folder
        collections.BUILD[name](folder)
        return folder

    return build


def read(name: str, folder: Path, split: str | None = None) -> Source:
    return DATASETS[name].source(folder.parent, split)


def media(source: Source) -> Media:
    assert source.media is not None
    return source.media


def captions(source: Source) -> list[tuple[str, str]]:
    """(image, caption) of each caption."""
    assert source.texts is not None
    owner = np.asarray(source.text_to_image)
    return [(media(source).names[i], t) for i, t in zip(owner, source.texts, strict=True)]


def refusal(name: str, folder: Path, split: str | None = None) -> str:
    """The one line that a damaged data set gives."""
    with pytest.raises(errors.InputError) as caught:
        read(name, folder, split)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(name)
    return said


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change the value in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


# Every card ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(collections.BUILD))
def test_every_split_is_read_and_needs_its_files(name: str, built: Callable[[str], Path]) -> None:
    folder = built(name)
    dataset = DATASETS[name]
    assert dataset.card.templates == () or dataset.card.task in ("retrieval", "attributes")
    for split in dataset.card.splits:
        assert dataset.missing(folder.parent, split) == []
        source = read(name, folder, split)
        assert source.provenance == {"data": name, "split": split}
        assert read(name, folder, split).texts == source.texts
        assert DATASETS[name].source(folder, split).texts == source.texts  # the folder itself
        for need in dataset.needs(split):
            away = {path: folder.parent / f"away{i}" for i, path in enumerate(folder.glob(need))}
            for path, to in away.items():
                path.rename(to)
            assert refusal(name, folder, split).startswith(f"{name}: needs {folder / need}")
            for path, to in away.items():
                to.rename(path)


@pytest.mark.parametrize("name", sorted(collections.BUILD))
def test_damaged_files_give_one_line(name: str, built: Callable[[str], Path]) -> None:
    """Every file that describes the data, empty or full of something else."""
    folder = built(name)
    endings = (".json", ".txt", ".token", ".pkl", ".t7", ".parquet", ".tar")
    files = [path for path in folder.rglob("*") if path.suffix in endings]
    if name in ("imdb", "newsgroups"):  # any file is a text
        return
    said: list[str] = []
    for path in files:
        kept = path.read_bytes()
        for junk in (b"", b"\x00\xff\xfe{", b"[1, 2]", b"{}", b"1 2 3\n", kept[: len(kept) // 2]):
            path.write_bytes(junk)
            for split in DATASETS[name].card.splits[:4]:
                try:
                    read(name, folder, split)
                except errors.InputError as error:
                    said.append(str(error))
                # else the split does not use it, or what is left of it can be read
        path.write_bytes(kept)
    assert len(said) >= len(files)
    assert all(each.startswith(name) and "\n" not in each for each in said)


# Captions --------------------------------------------------------------------------------------


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


# Retrieval -------------------------------------------------------------------------------------


def test_cub(built: Callable[[str], Path]) -> None:
    folder = built("cub")
    names = ["Black footed Albatross", "Laysan Albatross", "White Pelican"]
    paths = {
        3: "001.Black_footed_Albatross/Black_footed_Albatross_3.jpg",
        1: "002.Laysan_Albatross/Laysan_Albatross_1.jpg",
        4: "101.White_Pelican/White_Pelican_4.jpg",
        2: "101.White_Pelican/White_Pelican_2.jpg",
    }
    expected = {
        "all": ([3, 1, 4, 2], [0, 1, 2, 2]),
        "test": ([3, 4], [0, 2]),
        "train": ([1, 2], [1, 2]),
        "retrieval-test": ([4, 2], [0, 0]),
    }
    for split, (images, labels) in expected.items():
        source = read("cub", folder, split)
        chosen = names[2:] if split == "retrieval-test" else names
        assert list(media(source).names) == [paths[i] for i in images]
        assert np.asarray(source.labels).tolist() == labels
        assert source.texts == chosen
        assert source.factors == {"class": [chosen[label] for label in labels]}
        assert source.templates == ("a photo of a {}, a type of bird.",)
        assert media(source)[0] == (folder / "images" / paths[images[0]]).read_bytes()


def test_cub_that_does_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("cub")
    changes = [
        ("images", "3 a.jpg\n3 b.jpg\n", "3 must occur once"),
        ("images", "3\n", "3 must have a value"),
        ("images", "three a.jpg\n", "is malformed"),
        ("image_class_labels", "1 1\n2 1\n3 1\n", "must list the images of images.txt; 4 differs"),
        ("image_class_labels", "1 1\n2 1\n3 1\n4 1\n5 1\n", "5 differs"),
        ("image_class_labels", "1 1\n2 1\n3 1\n4 7\n", "image 4: its class 7 must be in classes"),
        ("train_test_split", "1 1\n2 1\n3 1\n", "must list the images of images.txt; 4 differs"),
        ("train_test_split", "1 1\n2 1\n3 1\n4 2\n", "image 4: must be 0 or 1"),
        ("classes", "1 001.A\n2 002.A\n101 101.B\n", "'A' occurs twice"),
    ]
    for name, text, why in changes:
        path = folder / f"{name}.txt"
        kept = path.read_text()
        path.write_text(text)
        assert why in refusal("cub", folder, "all")
        path.write_text(kept)


def test_sop(built: Callable[[str], Path]) -> None:
    folder = built("sop")
    source = read("sop", folder)
    assert source.texts is None
    assert list(media(source).names) == ["mug_final/22_0.JPG", "coffee_maker_final/33_0.JPG"]
    assert source.factors == {"class": [8, 9], "super_class": ["mug", "coffee_maker"]}
    train = read("sop", folder, "train")
    assert train.factors == {"class": [1, 1], "super_class": ["bicycle", "bicycle"]}
    assert media(train)[1] == (folder / "bicycle_final/11_1.JPG").read_bytes()
    header = "image_id class_id super_class_id path"
    for text, why in (
        ("3 8 8 mug_final/22_0.JPG", "must begin with image_id"),
        (f"{header}\n1 1 1 a/b.JPG\n1 1 1 a/c.JPG", "image 1, a/c.JPG, must occur once"),
        (f"{header}\n1 1 1 a/b.JPG\n2 1 1 a/b.JPG", "image 2, a/b.JPG, must occur once"),
        (f"{header}\n1 1 1 a/b.JPG\n2 2 1 c/b.JPG", "super class 1 must be in one folder"),
        (f"{header}\n1 1 a/b.JPG", "is malformed"),
        (header, "found none"),
    ):
        write(folder / "Ebay_test.txt", text)
        assert why in refusal("sop", folder)


@pytest.mark.parametrize("name", ["roxford5k", "rparis6k"])
def test_revisited(name: str, built: Callable[[str], Path]) -> None:
    folder = built(name)
    source = read(name, folder)
    gallery = ["all_souls_1.jpg", "keble_2.jpg", "oxford_3.jpg", "all_souls_4.jpg"]
    queries = ["query/all_souls_9.jpg", "query/keble_2.jpg"]
    assert list(media(source).names) == [*queries, *gallery]
    assert source.texts is None
    assert source.factors["role"] == ["query"] * 2 + ["gallery"] * 4
    judged = {
        key: [json.loads(each) for each in source.factors[key]]
        for key in source.factors
        if key != "role"
    }
    assert judged == {
        "easy": [["all_souls_4.jpg", "all_souls_1.jpg"], [], *[[]] * 4],
        "hard": [[], ["keble_2.jpg"], *[[]] * 4],
        "junk": [["keble_2.jpg"], ["all_souls_1.jpg", "oxford_3.jpg"], *[[]] * 4],
    }
    whole = Image.open(folder / "jpg" / "all_souls_9.jpg").convert("RGB")
    first = media(source)[0]
    assert isinstance(first, Image.Image)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(whole.crop((1.0, 2.0, 7.4, 8.0))))
    second, again = media(source)[1], media(source)[3]  # as a query, and in the gallery
    assert isinstance(second, Image.Image)
    assert second.size == (12, 10)
    assert again == (folder / "jpg" / "keble_2.jpg").read_bytes()


def test_revisited_that_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "roxford5k"
    good = {"bbx": [0, 0, 5, 5], "easy": [0], "hard": [], "junk": []}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"gnd": [good]}, "gnd must have 2 entries"),
        ({"gnd": [good, {**good, "easy": [4]}]}, "easy must hold numbers in 0 … 3; holds 4"),
        ({"gnd": [good, {**good, "junk": [-1]}]}, "junk must hold numbers in 0 … 3; holds -1"),
        ({"gnd": [good, {**good, "hard": [0.5]}]}, "hard must hold numbers"),
        ({"gnd": [good, {**good, "bbx": [0, 0, 5]}]}, "keble_2.jpg: bbx must be 4 finite numbers"),
        ({"gnd": [good, {**good, "bbx": [0, 0, 5, np.nan]}]}, "bbx must be 4 finite numbers"),
        ({"gnd": [good, {"bbx": [0, 0, 5, 5]}]}, "must have the field 'easy'"),
        ({"imlist": ["a", "b", "a", "c"]}, "imlist must have each image once; a.jpg occurs twice"),
        ({"qimlist": ["a", "a"]}, "qimlist must have each image once"),
        ({"imlist": ["a", 2, "b", "c"]}, "imlist must be strings"),
    ]
    for change, why in changes:
        collections.revisited(folder, "roxford5k", **change)
        assert why in refusal("roxford5k", folder)
    (folder / "gnd_roxford5k.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "os.system" in refusal("roxford5k", folder)


# Attributes ------------------------------------------------------------------------------------


def test_mit_states(built: Callable[[str], Path]) -> None:
    folder = built("mit-states")
    source = read("mit-states", folder)
    assert list(media(source).names) == [
        "sliced_apple/1.jpg",
        "ripe_apple/1.jpg",
        "sliced_apple/2.jpg",
    ]
    assert media(source)[2] == (folder / "images/sliced apple/2.jpg").read_bytes()
    assert source.texts == ["sliced apple", "ripe apple", "unseen thing"]
    assert np.asarray(source.labels).tolist() == [0, 1, 0]
    assert source.factors == {
        "attribute": ["sliced", "ripe", "sliced"],
        "object": ["apple", "apple", "apple"],
    }
    assert source.text_factors == {
        "attribute": ("sliced", "ripe", "unseen"),
        "object": ("apple", "apple", "thing"),
    }
    assert source.templates == ("a photo of a {}.",)
    assert source.missing == ()
    train = read("mit-states", folder, "train")
    assert train.texts == ["old ice cream", "unseen thing"]
    assert media(train)[0] == (folder / "images/old ice cream/4.jpg").read_bytes()
    (folder / "images" / "sliced apple").rename(folder / "images" / "sliced_apple")
    source = read("mit-states", folder)  # as everyone renames them
    assert media(source)[2] == (folder / "images/sliced_apple/2.jpg").read_bytes()


def test_ut_zappos(built: Callable[[str], Path]) -> None:
    folder = built("ut-zappos")
    source = read("ut-zappos", folder)
    names = ["Faux.Fur_Boots.Ankle/7153824.72.jpg", "Leather_Boots.Ankle/7153824.73.jpg"]
    assert list(media(source).names) == names
    assert media(source)[1] == (folder / "images" / names[1]).read_bytes()
    assert source.texts == ["faux fur boots ankle", "leather boots ankle", "unseen thing"]
    assert source.factors["attribute"] == ["Faux.Fur", "Leather"]
    assert source.text_factors["object"] == ("Boots.Ankle", "Boots.Ankle", "thing")
    assert read("ut-zappos", folder, "val").factors["object"] == ["Sandals"]


def test_compositions_that_do_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("mit-states")
    metadata = torch.load(folder / METADATA, weights_only=True)
    write(folder / PAIRS, "sliced apple\n")
    torch.save([*metadata, metadata[0]], folder / METADATA)
    source = read("mit-states", folder)
    assert source.texts == ["sliced apple"]
    assert source.missing == (
        ("ripe_apple/1.jpg", "its pair, ripe apple, is not in test_pairs.txt"),
        ("sliced_apple/1.jpg", "occurs twice"),
    )
    torch.save(metadata, folder / METADATA, _use_new_zipfile_serialization=False)  # as in 2018
    assert read("mit-states", folder).texts == ["sliced apple"]
    torch.save([{**metadata[0], "obj": 3}], folder / METADATA)
    assert "must be strings; found 3" in refusal("mit-states", folder)
    torch.save([{"image": "a"}], folder / METADATA)
    assert "must have the field 'attr'" in refusal("mit-states", folder)
    torch.save([Path("a")], folder / METADATA)  # anything but plain values is not loaded
    assert "is malformed" in refusal("mit-states", folder)
    write(folder / PAIRS, "sliced apple\nsliced apple\n")
    assert "'sliced apple' must occur once" in refusal("mit-states", folder)
    write(folder / PAIRS, "sliced red apple\n")
    assert "is malformed" in refusal("mit-states", folder)


# Texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "part", "encoding"),
    [("newsgroups", "20news-bydate-{}", "latin1"), ("imdb", "{}", "utf-8")],
)
def test_documents_as_scikit_learn_reads_them(
    name: str, part: str, encoding: str, built: Callable[[str], Path]
) -> None:
    """Its fetch_20newsgroups is this call on the same folders."""
    folder = built(name)
    for split in ("test", "train"):
        known = None if name == "newsgroups" else ["neg", "pos"]
        theirs = load_files(
            str(folder / part.format(split)), categories=known, encoding=encoding, shuffle=False
        )
        source = read(name, folder, split)
        assert source.media is None
        assert source.texts == theirs.data
        expected = [theirs.target_names[label] for label in theirs.target]
        assert source.text_factors == {"class": expected}


def test_newsgroups(built: Callable[[str], Path]) -> None:
    folder = built("newsgroups")
    source = read("newsgroups", folder)
    assert source.text_factors == {"class": ["alt.atheism", "alt.atheism", "sci.space"]}
    assert source.texts is not None
    assert source.texts[0] == "From: a@b\r\n\r\ntest 53068: café §\n\n> quoted\n--\nme\n"
    shutil.rmtree(folder / "20news-bydate-test")
    (folder / "20news-bydate-test").mkdir()
    assert "must hold one folder per group" in refusal("newsgroups", folder)


def test_imdb(built: Callable[[str], Path]) -> None:
    folder = built("imdb")
    write(folder / "test" / "neg" / ".hidden.txt", "not a review")
    write(folder / "test" / "neg" / "3_3.txt", "")
    (folder / "test" / "neg" / "1_1.txt").write_bytes(b"\xff")
    source = read("imdb", folder)
    assert source.texts is not None
    assert list(source.texts[:2]) == ["test neg 2_3<br />café", ""]
    assert source.text_factors == {"class": ["neg", "neg", "pos", "pos"]}
    assert source.missing == (("neg/1_1.txt", "must be utf-8 (invalid start byte)"),)


def test_nanobeir(built: Callable[[str], Path]) -> None:
    folder = built("nanobeir")
    for split in DATASETS["nanobeir"].card.splits:
        source = read("nanobeir", folder, split)
        assert isinstance(source.media, Documents)
        assert list(source.media.names) == ["d0", "d1", "d2", "d3"]
        assert source.media[2] == f"{split} document 2"
        assert (source.modality, source.text_modality) == ("document", "query")
        # texts lie in the order of the documents they match
        assert captions(source) == [("d2", "zero"), ("d3", "one")]
        assert source.text_factors == {
            "id": ["q0", "q1"],
            "relevant": ['["d2"]', '["d3", "d0"]'],
        }
        assert source.missing == (
            ("d9", "not in the corpus; relevant to query q2"),
            ("q2", "no relevant document"),
            ("q3", "no relevant document"),
        )


def test_nanobeir_orders_queries_with_what_is_known_of_them(built: Callable[[str], Path]) -> None:
    folder = built("nanobeir")
    judged = {"query-id": ["q0", "q1", "q2", "q3"], "corpus-id": ["d3", "d0", "d3", "d1"]}
    collections.table(folder / "NanoNQ" / "qrels" / "train-00000-of-00001.parquet", judged)
    source = read("nanobeir", folder, "NanoNQ")
    assert captions(source) == [("d0", "one"), ("d1", "three"), ("d3", "zero"), ("d3", "two")]
    assert source.text_factors["id"] == ["q1", "q3", "q0", "q2"]
    assert source.text_factors["relevant"] == ['["d0"]', '["d1"]', '["d3"]', '["d3"]']


def test_nanobeir_with_titles_and_scores(built: Callable[[str], Path]) -> None:
    folder = built("nanobeir") / "NanoNQ"
    part = "train-00000-of-00001.parquet"
    titled = {"_id": [1, 2], "title": ["A title", None], "text": ["its text", "only text"]}
    collections.table(folder / "corpus" / part, titled)
    judged = {"query-id": ["q0", "q0", "q1"], "corpus-id": [1, 2, 2], "score": [0, 2, 1]}
    collections.table(folder / "qrels" / part, judged)
    source = read("nanobeir", folder.parent, "NanoNQ")
    assert isinstance(source.media, Documents)
    assert list(source.media.texts) == ["A title its text", "only text"]
    assert captions(source) == [("2", "zero"), ("2", "one")]
    assert source.text_factors["relevant"] == ['["2"]', '["2"]']


def test_nanobeir_that_does_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("nanobeir") / "NanoNQ"
    changes: list[tuple[str, dict[str, list[Any]], str]] = [
        ("corpus", {"_id": ["d0", "d0"], "text": ["a", "b"]}, "id d0 must occur once"),
        ("queries", {"_id": ["q0", "q0"], "text": ["a", "b"]}, "id q0 must occur once"),
        ("corpus", {"_id": ["d0"], "body": ["a"]}, "must have the column text; has _id, body"),
        ("corpus", {"_id": ["d0", None], "text": ["a", "b"]}, "must not be empty"),
        ("corpus", {"_id": ["d0"], "text": [3]}, "d0 must have a text; found int"),
        ("qrels", {"query-id": ["q7"], "corpus-id": ["d0"]}, "found none"),
    ]
    for which, columns, why in changes:
        path = folder / which / "train-00000-of-00001.parquet"
        kept = path.read_bytes()
        pq.write_table(pa.table(columns), path)
        assert why in refusal("nanobeir", folder.parent, "NanoNQ")
        path.write_bytes(kept)
    judged = {"query-id": ["q7", "q0"], "corpus-id": ["d0", "d1"]}
    collections.table(folder / "qrels" / "train-00000-of-00001.parquet", judged)
    missing = read("nanobeir", folder.parent, "NanoNQ").missing
    assert missing[0] == ("q7", "an unknown query, of document d0")


def test_nanobeir_as_datasets_reads_it(built: Callable[[str], Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = built("nanobeir") / "NanoSciFact"

    def table(part: str) -> Any:
        files = str(folder / part / "*.parquet")
        cache = str(tmp_path / "cache" / part)
        return datasets.load_dataset("parquet", data_files=files, cache_dir=cache, split="train")

    source = read("nanobeir", folder.parent, "NanoSciFact")
    documents = {row["_id"]: row["text"] for row in table("corpus")}
    queries = {row["_id"]: row["text"] for row in table("queries")}
    assert isinstance(source.media, Documents)
    assert dict(zip(source.media.names, source.media.texts, strict=True)) == documents
    relevant: dict[str, list[str]] = {}
    for row in table("qrels"):
        if row["corpus-id"] in documents:
            relevant.setdefault(row["query-id"], []).append(row["corpus-id"])
    assert source.texts is not None
    for i, query in enumerate(source.text_factors["id"]):
        assert source.texts[i] == queries[query]
        assert set(json.loads(source.text_factors["relevant"][i])) == set(relevant.pop(query))
    assert relevant == {}


def test_images_that_are_not_there_stay_listed(built: Callable[[str], Path]) -> None:
    """The encoder skips them by name, with their captions."""
    folder = built("flickr8k")
    (folder / "Flicker8k_Dataset" / "104_ab.jpg").unlink()
    source = read("flickr8k", folder)
    assert list(media(source).names) == ["104_ab.jpg", "103_ab.jpg"]
    with pytest.raises(errors.FileError):
        media(source)[0]
    assert len(captions(source)) == 4
