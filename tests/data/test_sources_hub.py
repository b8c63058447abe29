"""Folders of shards as the Hugging Face hub has them: splits, configs, snapshots."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
import pytest
from layouts.drawing import draw, write
from layouts.shards import CLASSES, hub_table, names, notes, parquet, picture, tar, with_features

from modalgap import errors
from modalgap.data import read
from modalgap.data.sources.card import matches
from modalgap.data.summary import summary


def shard(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(with_features(hub_table([picture(seed)], label=[seed % 2]), CLASSES), path)


def found(what: object, **options: object) -> list[int]:
    """Which pictures were read, by their seeds."""
    media = read(what, **options).media  # type: ignore[arg-type]
    assert media is not None
    seeds = {picture(seed): seed for seed in range(10)}
    return [seeds[media[i]] for i in range(len(media))]  # type: ignore[index]


# splits by name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("data/train-00000-of-00001-a1b2c3.parquet", "data/test-00000-of-00001-d4e5f6.parquet"),
        ("train.parquet", "test.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("coco_train.parquet", "coco_test.parquet"),
        ("data/my-train-file.parquet", "data/my-test-file.parquet"),
        ("train_1.parquet", "test_1.parquet"),
    ],
)
def test_splits_by_the_names_of_files(tmp_path: Path, train: str, test: str) -> None:
    shard(tmp_path / train, 0)
    shard(tmp_path / test, 1)
    places = {tmp_path, (tmp_path / train).parent} if "/0000" not in train else {tmp_path}
    for place in places:
        with pytest.raises(errors.OptionError, match=r"--split: .* holds test, train; select one"):
            read(place)
        assert found(place, split="train") == [0]
        assert found(place, split="test") == [1]
        assert found(place, split="train+test") == [0, 1]
        assert found(place, split="all") == [1, 0]
        assert read(place, split="test").provenance["split"] == "test"
        with pytest.raises(errors.OptionError, match="split of"):
            read(place, split="val")


def test_one_split_is_taken_and_said(tmp_path: Path) -> None:
    shard(tmp_path / "data" / "validation-00000-of-00001.parquet", 3)
    assert found(tmp_path) == [3]
    assert "split validation is the only one" in read(tmp_path).notes
    assert found(tmp_path, split="val") == [3]


def test_shards_of_no_split(tmp_path: Path) -> None:
    for i in range(3):
        shard(tmp_path / f"{i:05d}.parquet", i)
    assert found(tmp_path) == [0, 1, 2]
    with pytest.raises(errors.OptionError, match=r"--split: .* has none; got 'train'"):
        read(tmp_path, split="train")
    shard(tmp_path / "test-00000-of-00001.parquet", 4)
    source = read(tmp_path)
    assert found(tmp_path) == [4]
    assert [reason for _, reason in source.unused] == ["its name has no split"] * 3


def test_shards_that_are_announced_and_not_there(tmp_path: Path) -> None:
    for i in (0, 3):
        shard(tmp_path / "data" / f"train-{i:05d}-of-00005.parquet", i)
    source = read(tmp_path)
    assert found(tmp_path) == [0, 3]
    assert source.missing == tuple(
        (f"train-{i:05d}-of-00005.parquet", "a missing shard") for i in (1, 2, 4)
    )
    shard(tmp_path / "data" / "train-00001-of-00002.parquet", 4)
    with pytest.raises(errors.FileError, match="must have the same number of shards"):
        read(tmp_path)


def test_folders_of_parts_are_not_mixed(tmp_path: Path) -> None:
    shard(tmp_path / "en" / "0.parquet", 0)
    shard(tmp_path / "de" / "0.parquet", 1)
    with pytest.raises(errors.OptionError, match="holds de, en; select one"):
        read(tmp_path)
    assert found(tmp_path, split="en") == [0]


# README.md ------------------------------------------------------------------------------------

CARD = """---
license: mit
configs:
- config_name: default
  data_files:
  - split: train
    path: data/a-*
  - split: holdout
    path:
    - "data/b-0.parquet"
    - "data/b-1.parquet"
---
# Text
configs: no
"""


def test_configs_of_the_card(tmp_path: Path) -> None:
    for i, name in enumerate(("a-0", "a-1", "b-0", "b-1", "test-0")):
        shard(tmp_path / "data" / f"{name}.parquet", i)
    write(tmp_path / "README.md", CARD)
    with pytest.raises(errors.OptionError, match="holds train, holdout; select one"):
        read(tmp_path)
    assert found(tmp_path, split="train") == [0, 1]
    assert found(tmp_path, split="holdout") == [2, 3]
    assert read(tmp_path, split="train").unused == (
        ("data/test-0.parquet", "in no config of README.md"),
    )
    assert "split train; others: holdout" in notes(tmp_path, split="train")


def test_several_configs_must_be_chosen(tmp_path: Path) -> None:
    for i, name in enumerate(("en/train-0", "en/test-0", "de/train-0", "fr/x-0")):
        shard(tmp_path / f"{name}.parquet", i)
    write(
        tmp_path / "README.md",
        """---
configs:
- config_name: en
  default: true
  data_files: [{split: train, path: en/train-*}, {split: test, path: en/test-*}]
- config_name: de
  data_files: [{split: train, path: "de/*"}]
- config_name: fr
  data_dir: fr
- config_name: es
  data_files: es/*.parquet
---
""",
    )
    with pytest.raises(errors.OptionError, match="holds en/train, en/test, de/train, fr, es/train"):
        read(tmp_path)
    assert found(tmp_path, split="en/train") == [0]
    assert found(tmp_path, split="test") == [1]  # only one config has it
    assert found(tmp_path, split="en/train+de/train") == [0, 2]
    assert found(tmp_path, split="fr") == [3]
    assert found(tmp_path, split="de") == [2]
    with pytest.raises(errors.OptionError, match="split of"):  # two configs have it
        read(tmp_path, split="train")
    with pytest.raises(errors.FileError, match="needs the files of split 'es/train'"):
        read(tmp_path, split="es/train")


@pytest.mark.parametrize(
    "front",
    ["configs: [{config_name: x, data_files: 3}]", "configs: {", "configs: 3", "configs: [3]",
     "configs: [{data_files: [{split: x}]}]", "configs: " + "[" * 10**4, "configs: !!python/x y",
     "configs: [{config_name: a, data_files: /etc/*}]",
     "configs: [{config_name: a, data_files: ../*}]"],
)  # fmt: skip
def test_cards_that_are_wrong_leave_the_names(tmp_path: Path, front: str) -> None:
    shard(tmp_path / "train.parquet", 0)
    shard(tmp_path / "test.parquet", 1)
    write(tmp_path / "README.md", f"---\n{front}\n---\n")
    assert found(tmp_path, split="train") == [0]


def test_without_yaml_the_names_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(tmp_path / "data" / "train-00000-of-00001.parquet", 0)
    write(tmp_path / "README.md", CARD)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert found(tmp_path) == [0]
    assert "PyYAML is not installed" in notes(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("data/train-*", ["data/train-0.parquet"], ["data/x/train-0.parquet", "train-0"]),
        ("**/*.parquet", ["a.parquet", "x/y/a.parquet"], ["a.tar"]),
        ("data/**", ["data/a", "data/x/a"], ["a"]),
        ("data/", ["data/a"], ["a"]),
        ("**", ["a", "x/a"], []),
        ("x-[0-1].tar", ["x-0.tar"], ["x-2.tar"]),
        ("x-[!0].tar", ["x-1.tar"], ["x-0.tar"]),
        ("a?.tar", ["ab.tar"], ["a.tar", "a/.tar"]),
        ("a[.tar", ["a[.tar"], ["a.tar"]),
        ("./a.tar", ["a.tar"], []),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    assert all(matches(PurePosixPath(name), pattern) for name in yes)
    assert not any(matches(PurePosixPath(name), pattern) for name in no)


# snapshots and what lies beside ---------------------------------------------------------------


def test_the_cache_of_the_hub(tmp_path: Path) -> None:
    root = tmp_path / "datasets--owner--name"
    for i, hashed in enumerate(("aaa", "bbb")):
        shard(root / "blobs" / f"{i}", i)
        place = root / "snapshots" / hashed / "data"
        place.mkdir(parents=True)
        (place / "train-00000-of-00001.parquet").symlink_to(root / "blobs" / f"{i}")
    assert found(root / "snapshots" / "bbb") == [1]
    with pytest.raises(errors.OptionError, match="must hold one snapshot; found aaa, bbb"):
        read(root)
    write(root / "refs" / "main", "bbb")
    assert found(root) == [1]
    (root / "blobs" / "1").unlink()
    with pytest.raises(errors.FileError, match=r"needs data/train-00000-of-00001\.parquet"):
        read(root)


def test_images_that_only_decorate(tmp_path: Path) -> None:
    draw(tmp_path / "assets" / "teaser.png")
    write(tmp_path / "README.md", "# made up\n")
    write(tmp_path / "LICENSE", "mit")
    shard(tmp_path / "data" / "train-00000-of-00001.parquet", 0)
    source = read(tmp_path)
    assert found(tmp_path) == [0]
    assert dict(source.unused) == {
        "LICENSE": "not a shard",
        "assets/teaser.png": "an image or sound beside shards",
    }


def test_images_win_over_parquet_without_bytes(tmp_path: Path) -> None:
    for i in range(2):
        draw(tmp_path / "photos" / f"{i}.png", i)
    parquet(tmp_path / "list.parquet", {"url": ["u", "v"], "caption": ["a", "b"]})
    assert len(names(read(tmp_path))) == 2


def test_images_win_over_an_archive_in_their_folder(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        draw(tmp_path / "photos" / kind / "0.png")
    tar(tmp_path / "photos" / "old.tar", [("0.png", picture(0))])
    assert read(tmp_path / "photos" / "cat").media is not None
    assert "cat/0.png" in "".join(names(read(tmp_path)))


def test_tar_and_parquet_with_images_contradict_each_other(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", [("0.png", picture(0))])
    shard(tmp_path / "0.parquet", 0)
    with pytest.raises(errors.FileError, match=r"found 0\.tar and 0\.parquet: use a pattern"):
        read(tmp_path)
    assert found(f"{tmp_path}/*.tar") == [0]


def test_a_link_to_the_folder_above_is_no_loop(tmp_path: Path) -> None:
    shard(tmp_path / "x" / "data" / "a.parquet", 0)
    (tmp_path / "x" / "data" / "up").symlink_to(tmp_path / "x")
    assert found(tmp_path / "x") == [0]
    assert "1 images" not in summary(read(tmp_path / "x"))
