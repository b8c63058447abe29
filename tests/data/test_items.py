"""Items of several modalities: which rows belong to one item, in every layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts.items import PART, parquet, png, put, wav

from modalgap import errors
from modalgap.data import DATASETS, Documents, Items, Pixels, Source, read, read_items
from modalgap.data.summary import facts, summary


def rows(items: Items, side: str) -> dict[str, object]:
    """Item id to what is stored of it."""
    media = items.sides[side]
    return {item: media[i] for i, item in enumerate(items.ids[side])}


# MTEB -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coco-modal-equiv", "coco_modal_equiv"])
def test_coco_modal_equiv(
    name: str, built: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = built("coco-modal-equiv")
    monkeypatch.setenv("MODALGAP_DATA", str(folder.parent))
    items = read_items(name)
    assert items.kinds == {"image": "image", "text": "text", "speech": "audio", "tts": "audio"}
    names = [f"{1000 + i:012d}" for i in range(4)]
    assert items.items == names
    assert items.incomplete == dict.fromkeys(items.sides, 0)
    assert rows(items, "image") == {each: png(i) for i, each in enumerate(names)}
    assert rows(items, "text") == {each: f"caption {i}" for i, each in enumerate(names)}
    assert rows(items, "speech") == {each: wav(10 + i) for i, each in enumerate(names)}
    assert rows(items, "tts") == {each: wav(20 + i) for i, each in enumerate(names)}
    assert items.provenance == {"data": "coco-modal-equiv", "split": "test"}
    source = read(name)  # for a model of images and texts
    assert source.texts == [f"caption {i}" for i in range(4)]
    assert "read 4 image, 4 text, 4 speech, 4 tts rows of 4 items" in summary(items)


def test_coco_modal_equiv_without_some_sounds(built: Callable[[str], Path]) -> None:
    folder = built("coco-modal-equiv")
    names = [f"{1000 + i:012d}" for i in range(4)]
    sounds = [None, wav(1), None, wav(3)]
    path = folder / "a2i_h-queries" / PART
    parquet(path, {"id": (names, "Value"), "audio": (sounds, "Audio")})
    items = read_items("coco-modal-equiv", root=folder.parent)
    assert items.ids["speech"] == [names[1], names[3]]
    assert items.incomplete == {"image": 0, "text": 0, "speech": 2, "tts": 0}
    assert items.missing == ()
    assert facts(items)["incomplete"]["speech"] == 2
    assert "2 items lack speech" in summary(items)


def test_coco_modal_equiv_that_does_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("coco-modal-equiv")
    path = folder / "a2i_h-queries" / PART
    for columns, why in (
        ({"id": ["a", "a"], "audio": [b"1", b"2"]}, "each id must occur once"),
        ({"id": ["a", "b"], "sound": [b"1", b"2"]}, "must have the column audio; has id, sound"),
        ({"id": ["a", "b"], "audio": ["1", "2"]}, "must hold the bytes of images or sounds"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(errors.InputError, match=why):
            read_items("coco-modal-equiv", root=folder.parent)
    path.unlink()
    with pytest.raises(errors.InputError, match=r"coco-modal-equiv: needs .*a2i_h-queries"):
        read_items("coco-modal-equiv", root=folder.parent)
    assert DATASETS["coco-modal-equiv"].missing(folder.parent)


# Folders --------------------------------------------------------------------------------------


def test_a_folder_of_files_of_one_name(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / f"{i}.png", png(i))
        put(tmp_path / f"{i}.txt", f"first {i}\nsecond {i}\n")
        put(tmp_path / f"{i}.speech.wav", wav(i))
    put(tmp_path / "1.tts.wav", wav(7))
    put(tmp_path / "notes.pdf", b"%")
    items = read_items(tmp_path)
    assert items.kinds == {"image": "image", "speech": "audio", "tts": "audio", "text": "text"}
    assert items.items == ["0", "1", "2"]
    assert items.ids["text"] == ["0", "0", "1", "1", "2", "2"]
    assert items.sides["text"][3] == "second 1"
    assert rows(items, "tts") == {"1": wav(7)}
    assert items.incomplete["tts"] == 2
    assert items.unused == (("notes.pdf", "not an image, a sound or a .txt of an item"),)


def test_a_folder_per_modality_with_frames(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / "video" / f"clip{i}" / "000.png", png(i))
        put(tmp_path / "video" / f"clip{i}" / "001.png", png(10 + i))
        put(tmp_path / "human" / f"clip{i}.wav", wav(i))
        put(tmp_path / "captions" / f"clip{i}.txt", f"caption {i}")
    items = read_items(str(tmp_path))
    assert items.kinds == {"video": "image", "human": "audio", "text": "text"}
    assert items.means == ("video",)
    assert items.ids["video"] == [f"clip{i}" for i in range(3) for _ in range(2)]
    assert items.items == ["clip0", "clip1", "clip2"]


def test_folders_of_images_and_texts(tmp_path: Path) -> None:
    for i in range(2):
        put(tmp_path / "Images" / "a" / f"{i}.png", png(i))
        put(tmp_path / "text" / "a" / f"{i}.txt", f"caption {i}")
    put(tmp_path / "LICENCE.txt", "free")
    items = read_items(tmp_path)
    assert items.ids == {"image": ["a/0", "a/1"], "text": ["a/0", "a/1"]}
    assert items.unused == (("LICENCE.txt", "not an image, a sound or a .txt of an item"),)


def test_folders_whose_files_share_no_name(tmp_path: Path) -> None:
    put(tmp_path / "a.png", png(0))
    put(tmp_path / "b.wav", wav(0))
    with pytest.raises(errors.FileError, match="must hold files of the same name"):
        read_items(tmp_path)
    put(tmp_path / "b.x.png", png(0))
    put(tmp_path / "a.x.wav", wav(0))
    with pytest.raises(errors.FileError, match="modality 'x' must hold files of one kind"):
        read_items(tmp_path)


def test_images_with_captions_are_items_of_two_modalities(tmp_path: Path) -> None:
    for i in range(2):
        put(tmp_path / f"{i}.png", png(i))
        put(tmp_path / f"{i}.txt", f"caption {i}\nagain {i}")
    items = read_items(tmp_path)
    assert items.ids == {"image": ["0.png", "1.png"], "text": ["0.png"] * 2 + ["1.png"] * 2}
    classes = tmp_path / "classes"
    for each in ("cat", "dog"):
        put(classes / each / "0.png", png(0))
        put(classes / each / "1.png", png(1))
    with pytest.raises(errors.InputError, match="classes are no items"):
        read_items(classes)


# Tables ---------------------------------------------------------------------------------------


def test_a_table_of_paths(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / "images" / f"{i}.png", png(i))
        put(tmp_path / "sounds" / f"{i}.wav", wav(i))
    lines = ["uid,image_path,speech_file,tts,caption,caption_2,title"]
    lines += ["a,images/0.png,sounds/0.wav,,one,two,T", "b,images/1.png,,sounds/1.wav,three,,T"]
    lines += ["a,images/0.png,sounds/2.wav,,one,four,T"]
    put(tmp_path / "t.csv", "\n".join(lines))
    items = read_items(tmp_path / "t.csv")
    assert items.ids == {
        "image": ["a", "b"],
        "speech": ["a", "a"],
        "tts": ["b"],
        "text": ["a", "a", "b", "a"],
    }
    assert rows(items, "tts") == {"b": wav(1)}
    assert [items.sides["text"][i] for i in range(4)] == ["one", "two", "three", "four"]
    assert "ids in 'uid'" in items.rule
    assert items.unused == (("column title", "another column of captions"),)
    assert items.files == (tmp_path / "t.csv",)


def test_a_table_without_ids_and_with_lists(tmp_path: Path) -> None:
    records = []
    for i in range(2):
        for j in range(2):
            put(tmp_path / f"f{i}{j}.png", png(10 * i + j))
        put(tmp_path / f"{i}.wav", wav(i))
        records.append({"frames": [f"f{i}0.png", f"f{i}1.png"], "wav": f"{i}.wav", "text": "t"})
    put(tmp_path / "t.jsonl", "\n".join(map(json.dumps, records)))
    items = read_items(tmp_path / "t.jsonl")
    assert items.kinds == {"video": "image", "audio": "audio", "text": "text"}
    assert items.means == ("video",)
    assert items.ids["audio"] == ["f00.png", "f10.png"]
    assert items.ids["video"] == ["f00.png"] * 2 + ["f10.png"] * 2


def test_a_table_with_one_column_of_paths_is_a_source(tmp_path: Path) -> None:
    put(tmp_path / "t.csv", "image,caption\na.png,one\nb.png,two\n")
    assert list(read_items(tmp_path / "t.csv").sides) == ["image", "text"]
    put(tmp_path / "t.json", json.dumps([{"image": "a.png", "caption": "one"}]))
    assert list(read_items(tmp_path / "t.json").sides) == ["image", "text"]


# Parquet and Hugging Face ---------------------------------------------------------------------


def columns() -> dict[str, tuple[list[object], str]]:
    return {
        "image_id": (["x", "y", "z"], "Value"),
        "picture": ([png(0), png(1), png(2)], "Image"),
        "human": ([wav(0), None, wav(2)], "Audio"),
        "tts": ([wav(3), wav(4), wav(5)], "Audio"),
        "caption": (["one", "two", "three"], "Value"),
    }


def test_parquet_with_several_columns_of_bytes(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / PART, columns())
    for what in (tmp_path, tmp_path / "data" / PART):
        items = read_items(what)
        assert items.kinds == {
            "image": "image",
            "human": "audio",
            "tts": "audio",
            "text": "text",
        }
        assert rows(items, "human") == {"x": wav(0), "z": wav(2)}
        assert rows(items, "text") == {"x": "one", "y": "two", "z": "three"}
    assert read_items(tmp_path, split="test").provenance == {"split": "test"}


def test_bytes_without_features_are_looked_at(tmp_path: Path) -> None:
    table = {"a": [png(0), png(1)], "b": [None, wav(1)], "text": ["one", "two"]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    items = read_items(tmp_path / "t.parquet")
    assert items.kinds == {"a": "image", "b": "audio", "text": "text"}
    assert items.ids["b"] == ["row 1"]


def test_a_saved_data_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "image": datasets.Image(decode=False),
            "speech": datasets.Audio(decode=False),
        }
    )
    path = tmp_path / "raw.parquet"
    made = {name: columns()[old] for name, old in (("id", "image_id"), ("image", "picture"))}
    parquet(path, {**made, "speech": columns()["human"]})
    table = pq.read_table(path).replace_schema_metadata(None)
    data = datasets.Dataset(table.cast(features.arrow_schema), fingerprint="x")
    datasets.DatasetDict({"test": data}).save_to_disk(str(tmp_path / "saved"))
    items = read_items(tmp_path / "saved")
    assert items.kinds == {"image": "image", "speech": "audio"}
    assert rows(items, "speech") == {"x": wav(0), "z": wav(2)}
    assert items.provenance == {"split": "test"}


# Items ----------------------------------------------------------------------------------------


def made(**changes: object) -> Items:
    given: dict[str, object] = {
        "name": "made",
        "sides": {
            "image": Pixels(np.zeros((3, 4, 4), np.uint8), ["0", "1", "2"]),
            "text": Documents(["a", "b", "c", "d"], list("abcd")),
        },
        "ids": {"image": ["x", "y", "z"], "text": ["x", "x", "y", "w"]},
    }
    return Items(**(given | changes))  # type: ignore[arg-type]


def test_items_know_what_is_incomplete() -> None:
    items = made()
    assert items.items == ["x", "y", "z", "w"]
    assert items.incomplete == {"image": 1, "text": 1}
    assert repr(items) == "Items('made', 3 image and 4 text)"
    assert list(items.only(["text"]).sides) == ["text"]
    some = items.limited(2, 0)
    assert len(some.items) == 2
    assert some.provenance["sample"] == "2 of 4 items, seed 0"
    for side in some.sides:
        assert set(some.ids[side]) <= set(some.items)
        assert len(some.sides[side]) == len(some.ids[side])
    assert items.limited(4, 0) is items
    assert read_items(items) is items


def test_captions_of_several_images_are_rows_of_each() -> None:
    media = Pixels(np.zeros((2, 4, 4), np.uint8), ["a", "b"])
    source = Source(name="s", media=media, texts=["one", "two"], pairs=[[0, 0], [1, 0], [1, 1]])
    assert Items.of(source).ids["text"] == ["a", "b", "b"]
    assert Items.of(Source(name="s", texts=["one", "two"])).ids == {"text": ["0", "1"]}
    same = Pixels(np.zeros((2, 4, 4), np.uint8), ["a", "a"])
    assert Items.of(Source(name="s", media=same)).ids == {"image": ["0", "1"]}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sides": {}, "ids": {}}, "at least one modality"),
        ({"ids": {"image": ["x", "y", "z"]}}, "text must have an item id"),
        ({"ids": {"image": ["x"], "text": list("abcd")}}, "image must have an item id .* got 1"),
        ({"ids": {"image": [1, 2, 3], "text": list("abcd")}}, "item ids must be strings"),
        ({"means": ("video",)}, "modality of made"),
        ({"sides": {"a.b": Documents(["a"], ["a"])}, "ids": {"a.b": ["a"]}}, "have no dot"),
        ({"sides": {"a": ["x"]}, "ids": {"a": ["a"]}}, "media must have kind"),
    ],
)
def test_items_that_do_not_fit(changes: dict[str, object], why: str) -> None:
    with pytest.raises(errors.InputError, match=why):
        made(**changes)
    with pytest.raises(errors.OptionError, match="modality of made"):
        made().only(["sound"])
    with pytest.raises(errors.OptionError, match="limit: must be"):
        read_items(made(), limit=1)
