"""Random shards: items in = items read + items reported; damaged files give one-line errors."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts.shards import CLASSES, downloaded, hub_table, parquet, tar, with_features

from modalgap import errors
from modalgap.data import Source, read
from modalgap.data.summary import facts, summary

ENDINGS = ("jpg", "png", "left.jpg", "seg.png", "txt", "alt.txt", "json", "cls", "npy", "mp3")
KEYS = ("a", "b", "c/a", "c.d/a", "é")
FIELDS: tuple[Any, ...] = ("one", ["two", "three"], None, 5, {"raw": "four"}, "", [], {"x": 1})


def content(ending: str, chance: random.Random) -> bytes:
    if ending == "json":
        return json.dumps({"caption": chance.choice(FIELDS), "n": chance.randrange(3)}).encode()
    if ending == "cls":
        return chance.choice((b"0", b"1", b"-1", b"", b"owl"))
    return chance.choice((b"one", b"one\ntwo", b"")) if ending.endswith("txt") else b"x"


def leaves(source: Source) -> set[str]:
    assert len(summary(source).splitlines()) == 1
    json.dumps(facts(source))
    names = set() if source.media is None else set(source.media.names)
    return names | {name for name, _ in (*source.missing, *source.unused)}


@pytest.mark.parametrize("seed", range(60))
def test_every_image_of_a_tar_is_read_or_reported(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    members: dict[str, bytes] = {}
    for _ in range(chance.randrange(1, 14)):
        ending = chance.choice(ENDINGS)
        members[f"{chance.choice(KEYS)}.{ending}"] = content(ending, chance)
    tar(tmp_path / "0.tar", list(members.items()))
    if chance.random() < 0.5:
        (tmp_path / "classnames.txt").write_text("cat\ndog\n")
    if chance.random() < 0.5:
        (tmp_path / "dataset_type.txt").write_text(chance.choice(("retrieval", "classification")))
    try:
        source = read(tmp_path)
    except errors.InputError as error:
        assert len(str(error).splitlines()) == 1
        return
    found = leaves(source)
    read_endings = {name.removeprefix(".") for name in found}
    for name in members:
        key, _, ending = name.rpartition("/")[2].partition(".")
        whole = f"0.tar/{name}"
        sample = whole.removesuffix(f".{ending}")
        if ending in ("jpg", "png", "left.jpg", "seg.png", "mp3"):
            assert whole in found or ending in read_endings or sample in found, (name, found)
        elif key and f"{sample}.jpg" not in found:
            beside = [each for each in found if each.startswith(sample)]
            assert beside or ending in read_endings, (name, found)


@pytest.mark.parametrize("seed", range(30))
def test_every_row_of_parquet_is_read_or_reported(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    rows = chance.randrange(1, 9)
    labels = [chance.choice((0, 1, -1, None)) for _ in range(rows)]
    columns: dict[str, Any] = {"label": pa.array(labels, pa.int64())}
    if chance.random() < 0.5:
        cells = [chance.choice(([], ["a"], ["a", None], None)) for _ in range(rows)]
        columns["captions"] = pa.array(cells, pa.list_(pa.string()))
    table = with_features(hub_table([b"x"] * rows, **columns), CLASSES)
    edges = sorted(chance.randrange(rows + 1) for _ in range(2))
    for i, (start, stop) in enumerate(zip((0, *edges), (*edges, rows), strict=True)):
        part = table.slice(start, stop - start)
        name = f"train-{i:05d}-of-00003.parquet"
        parquet(tmp_path / name, {each: part[each] for each in part.column_names})
    whole = tmp_path / "train-00000-of-00003.parquet"
    pq.write_table(table.slice(0, edges[0]), whole)  # with the names of the classes
    source = read(tmp_path)
    found = leaves(source)
    assert {f"row {i}" for i in range(rows)} <= found
    if "captions" in columns and source.texts is not None and source.labels is None:
        assert source.text_to_image is not None
        said = {f"row {i}" for i in np.asarray(source.text_to_image).tolist()}
        reported = {name.removesuffix(", caption") for name in found if name.endswith("caption")}
        assert said | reported == {f"row {i}" for i in range(rows)}


@pytest.mark.parametrize("seed", range(20))
def test_every_row_of_img2dataset_is_read_or_reported(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    lost = [i for i in range(4) if chance.random() < 0.3]
    downloaded(tmp_path, shards=3, captions=chance.random() < 0.7, lost=lost)
    keys = {f"{shard:05d}{i:04d}" for shard in range(3) for i in range(4)}
    for path in sorted(tmp_path.rglob("*.*")):
        if chance.random() < 0.15 and path.suffix != ".parquet":
            path.unlink()
    try:
        found = leaves(read(tmp_path))
    except errors.FileError as error:
        assert "found none" in str(error)
        return
    assert keys <= {name.rpartition("/")[2].partition(".")[0] for name in found}


@pytest.mark.parametrize("seed", range(40))
def test_damaged_shards_give_errors_of_one_line(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    names = ("0.parquet", "0.tar", "classnames.txt", "README.md")
    parquet(tmp_path / "p" / "0.parquet", {"jpg": [b"x"] * 20, "caption": ["a"] * 20})
    tar(tmp_path / "t" / "0.tar", [("0.jpg", b"x"), ("0.cls", "0"), ("0.json", '{"a": 1}')])
    (tmp_path / "t" / "classnames.txt").write_text("cat\n")
    (tmp_path / "p" / "README.md").write_text("---\nconfigs:\n- config_name: x\n---\n")
    for path in sorted(tmp_path.rglob("*.*")):
        if path.name in names:
            data = bytearray(path.read_bytes())
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(bytes(data[: chance.randrange(len(data) // 2, len(data) + 1)]))
    for folder in ("p", "t"):
        try:
            source = read(tmp_path / folder, factors="auto")
        except errors.InputError as error:
            assert len(str(error).splitlines()) == 1
            continue
        for i in range(len(source.media or ())):
            try:
                assert source.media is not None
                source.media[i]
            except errors.FileError as error:
                assert len(str(error).splitlines()) == 1
