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
from data.collection_cases import captions, media, read, refusal
from layouts import collections
from layouts.drawing import write
from PIL import Image
from sklearn.datasets import load_files

from modalgap import errors
from modalgap.data import DATASETS, Documents

# Every card ---------------------------------------------------------------------------------------


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
            for split in DATASETS[name].card.splits[:3]:
                try:
                    read(name, folder, split)
                except errors.InputError as error:
                    said.append(str(error))
                # else the split does not use it, or what is left of it can be read
        path.write_bytes(kept)
    assert len(said) >= len(files)
    assert all(each.startswith(name) and "\n" not in each for each in said)


# Retrieval ----------------------------------------------------------------------------------------


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


# Texts --------------------------------------------------------------------------------------------


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
