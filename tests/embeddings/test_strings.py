"""Names that stay in the file: equal to names in memory, checked when they are read."""

from __future__ import annotations

import itertools
import operator
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings import repeats, strings
from modalgap.embeddings.formats import parquet_strings
from modalgap.embeddings.pick import pick
from modalgap.embeddings.rows import MemoryRows
from modalgap.embeddings.strings import JoinedStrings, PickedStrings, ShardedStrings, Strings

N = 23
WORDS = ("", "a", "naïve café", "猫と犬", "👍🏽", "line\nbreak", "nul\0inside", "x" * 300)
NAMES = tuple(f"{WORDS[i % len(WORDS)]}{i if i % 3 else ''}" for i in range(N))
FORMATS = (".safetensors", ".npz", ".parquet")


@pytest.fixture
def in_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is small, and blocks are of a few strings."""
    monkeypatch.setattr(files, "SMALL", -1)
    monkeypatch.setattr(strings, "CHUNK", 5)
    monkeypatch.setattr(strings.blocks, "__defaults__", (5,))


def vectors(n: int = N) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)


def pair(names: Sequence[str] = NAMES) -> mg.Pair:
    text = mg.Embeddings(vectors(len(names)), "text", names)
    return mg.Pair(mg.Embeddings(vectors(len(names)), "image", names[::-1]), text)


def write_shards(folder: Path, suffix: str, names: Sequence[str] = NAMES) -> Path:
    """Three files of different lengths; as Parquet with row groups of two rows."""
    folder.mkdir()
    bounds = (0, 2, 9, len(names))
    for i, (a, b) in enumerate(itertools.pairwise(bounds)):
        one = folder / f"part_{i}{suffix}"
        mg.save(pair(names[a:b]), one)
        if suffix == ".parquet":
            pq.write_table(pq.read_table(one), one, row_group_size=2)
    return folder


def deflated(path: Path) -> Path:
    """The same .npz with members that cannot stay in the file."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_stem("deflated"), "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED)
    return path.with_stem("deflated")


def one_file(folder: Path, suffix: str) -> Path:
    return mg.save(pair(), folder / f"one{suffix}")


MADE: dict[str, Callable[[Path], Path]] = {
    **{f"one {each}": lambda folder, each=each: one_file(folder, each) for each in FORMATS},
    **{f"shards {each}": lambda folder, each=each: write_shards(folder / "s", each)
       for each in FORMATS},
    "deflated": lambda folder: deflated(one_file(folder, ".npz")),
}  # fmt: skip


@pytest.mark.parametrize("made", MADE)
class TestAsInMemory:
    def names(self, made: str, folder: Path) -> Strings:
        found = mg.load(MADE[made](folder)).text.names
        assert isinstance(found, Strings)
        return found

    def test_read_at_once_if_small(self, made: str, tmp_path: Path) -> None:
        found = mg.load(MADE[made](tmp_path))
        assert type(found.text.names) is tuple
        assert found.text.names == NAMES

    @pytest.mark.usefixtures("in_file")
    def test_sequence(self, made: str, tmp_path: Path) -> None:
        found = self.names(made, tmp_path)
        assert len(found) == N
        assert list(found) == list(NAMES)
        assert [found[i] for i in range(-N, N)] == [NAMES[i] for i in range(-N, N)]
        for beyond in (N, -N - 1):
            with pytest.raises(IndexError):
                found[beyond]
        for a in (None, 0, 3, 9, -2, 40):
            for b in (None, 0, 2, 10, N, -1, 40):
                for step in (None, 2, -1, -3):
                    assert found[a:b:step] == NAMES[a:b:step], (a, b, step)
        assert NAMES[4] in found
        assert "nowhere" not in found
        assert found.index(NAMES[9]) == 9
        assert list(reversed(found)) == list(NAMES[::-1])
        assert np.asarray(found).tolist() == list(NAMES)

    @pytest.mark.usefixtures("in_file")
    def test_equality(self, made: str, tmp_path: Path) -> None:
        found = self.names(made, tmp_path)
        assert found == NAMES
        assert operator.eq(NAMES, found)  # asked the other way round
        assert found == list(NAMES)
        assert found == found[:]
        assert found != NAMES[:-1]
        assert found != (*NAMES[:-1], "other")
        assert found != "text"
        assert found != 3

    @pytest.mark.usefixtures("in_file")
    def test_take_and_pick(self, made: str, tmp_path: Path) -> None:
        found = self.names(made, tmp_path)
        rng = np.random.default_rng(1)
        for index in ([], [0], [22, 0], [5, 5, 1], rng.integers(0, N, 60), np.arange(N)[::-1]):
            rows = np.asarray(index, np.int64)
            want = [NAMES[i] for i in rows]
            assert found.take(rows) == want
            assert strings.take(NAMES, rows) == want
            picked = strings.pick(found, rows)
            assert not want or picked.index(want[-1]) == want.index(want[-1])
            assert isinstance(picked, PickedStrings)
            assert list(picked) == want
            assert picked.take(np.arange(len(rows))[::-1]) == want[::-1]
            assert picked[:2] == tuple(want[:2])

    @pytest.mark.usefixtures("in_file")
    def test_pickled_small_and_read_again(self, made: str, tmp_path: Path) -> None:
        found = self.names(made, tmp_path)
        list(found)  # nothing of what was read, and no open file, is sent along
        again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
        assert again == NAMES

    @pytest.mark.usefixtures("in_file")
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_saved_as_from_memory(self, made: str, suffix: str, tmp_path: Path) -> None:
        whole = mg.load(MADE[made](tmp_path))
        mg.save(whole, tmp_path / f"lazy{suffix}")
        mg.save(pair(), tmp_path / f"eager{suffix}")
        again = mg.load(tmp_path / f"lazy{suffix}")
        assert again.text.names == NAMES
        assert again.image.names == (
            NAMES[::-1] if "shards" not in made else tuple(whole.image.names or ())
        )
        if "shards" not in made:
            lazy, eager = (tmp_path / f"{name}{suffix}" for name in ("lazy", "eager"))
            assert lazy.read_bytes() == eager.read_bytes()


@pytest.mark.usefixtures("in_file")
def test_scattered_strings_are_not_read_in_between(tmp_path: Path) -> None:
    """Far apart, as in a file of many rows: read one by one, together, or if they are long."""
    names = tuple(f"{'é' * (i % 5)}{i}" for i in range(4000))
    rows = np.array([3999, 0, 0, 1000, 1001, 2500, 2000, 7])
    for suffix in FORMATS:
        found = mg.load(mg.save(pair(names), tmp_path / f"a{suffix}")).text.names
        assert isinstance(found, Strings)
        assert found.take(rows) == [names[i] for i in rows]
    joined = mg.load(tmp_path / "a.npz").text.names
    assert isinstance(joined, JoinedStrings)
    several = ShardedStrings((joined, (), joined, names, joined))
    rows = np.array([15_999, 4001, 0, 8000, 3999, 12_000, 11_999])
    assert several.take(rows) == [(names * 4)[i] for i in rows]
    assert several[3998:4002] == (names * 4)[3998:4002]


@pytest.mark.usefixtures("in_file")
def test_long_scattered_strings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = mg.load(one_file(tmp_path, ".safetensors")).text.names
    assert isinstance(found, JoinedStrings)
    rows = np.array([1, 22])
    together = found._scattered(rows)
    monkeypatch.setattr(strings, "TOGETHER", 0)
    assert found._scattered(rows) == together == [NAMES[1], NAMES[22]]
    empty = JoinedStrings(
        MemoryRows(torch.empty(0, 1, dtype=torch.uint8)),
        MemoryRows(torch.zeros(9, 1, dtype=torch.int64)),
        "empty",
    )
    assert list(empty) == [""] * 8
    assert empty._scattered(np.array([0, 7])) == ["", ""]


class TestDamage:
    """One line, when the damage is reached, or when it can be seen without reading all."""

    def write(
        self, path: Path, data: bytes, offsets: Sequence[int], suffix: str = ".safetensors"
    ) -> Path:
        arrays = {
            "image": vectors(), "text": vectors(),
            "text_names.bytes": np.frombuffer(data, np.uint8),
            "text_names.offsets": np.array(offsets, np.int64),
        }  # fmt: skip
        if suffix == ".npz":
            np.savez(path.with_suffix(suffix), **arrays)
        else:
            save_file(arrays, path.with_suffix(suffix))
        return path.with_suffix(suffix)

    def refused(self, work: Callable[[], object], message: str) -> None:
        with pytest.raises(errors.FileError, match=message) as caught:
            work()
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
    @pytest.mark.usefixtures("in_file")
    @pytest.mark.parametrize("offsets", [[*range(N), N - 1], [], [0] * N + [N + 1]])
    def test_last_offset_at_once(self, suffix: str, offsets: list[int], tmp_path: Path) -> None:
        path = self.write(tmp_path / "a", b"x" * N, offsets, suffix)
        self.refused(lambda: mg.load(path), "must have .offsets that rise from 0 to 23.*other off")

    @pytest.mark.usefixtures("in_file")
    def test_first_offset_when_reached(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a", b"x" * N, [1, *range(1, N + 1)])
        names = mg.load(path).text.names
        assert isinstance(names, Strings)
        assert names[1:4] == ("x",) * 3
        for work in (lambda: list(names), lambda: names[0], lambda: names._scattered(np.arange(2))):
            self.refused(work, "must have .offsets that rise from 0 to 23.*other offsets")

    @pytest.mark.usefixtures("in_file")
    def test_wrong_count_at_once(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a", b"x", [0, 1])
        self.refused(lambda: mg.load(path), "names must be 23, one per row; got 1")

    @pytest.mark.usefixtures("in_file")
    @pytest.mark.parametrize("wrong", [-5, 10**15, 3])
    def test_offsets_that_fall_when_reached(self, wrong: int, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a", b"x" * N, [*range(12), wrong, *range(13, N + 1)])
        names = mg.load(path).text.names
        assert isinstance(names, Strings)
        assert names[:5] == ("x",) * 5
        for work in (lambda: list(names), lambda: names[11], lambda: names.take([11, 0, 22])):
            self.refused(work, "must have .offsets that rise from 0 to 23.*other offsets")
        self.refused(lambda: mg.save(mg.load(path), tmp_path / "b.npz"), "rise from 0")
        assert not (tmp_path / "b.npz").exists()

    def test_small_names_are_checked_at_once(self, tmp_path: Path) -> None:
        falling = self.write(tmp_path / "a", b"x" * N, [*range(12), 3, *range(13, N + 1)])
        self.refused(lambda: mg.load(falling), "rise from 0 to 23")
        bad = self.write(tmp_path / "b", b"x" * 12 + b"\xff" * (N - 12), [*range(N + 1)])
        self.refused(lambda: mg.load(bad), "must be UTF-8")

    @pytest.mark.usefixtures("in_file")
    def test_bytes_that_are_not_utf_8_when_reached(self, tmp_path: Path) -> None:
        whole = "é" * N  # two bytes each, split in the middle of a character
        path = self.write(tmp_path / "a", whole.encode(), [*range(0, 30, 2), *range(31, 46, 2), 46])
        names = mg.load(path).text.names
        assert names is not None
        assert names[:14] == ("é",) * 14
        self.refused(lambda: list(names), "'text_names' must be UTF-8; found other bytes")

    @pytest.mark.usefixtures("in_file")
    def test_parquet(self, tmp_path: Path) -> None:
        """Bytes of a page that was damaged, in a row group that is read last."""
        path = tmp_path / "a.parquet"
        lists = pa.array(vectors().tolist(), pa.list_(pa.float32()))
        texts = pa.array(["needle" if i == 20 else "hay" for i in range(N)])
        table = pa.table({"image": lists, "text": lists, "text_name": texts})
        pq.write_table(
            table, path, row_group_size=4, compression="none", use_dictionary=False,
            write_statistics=False, write_page_checksum=True,
        )  # fmt: skip
        raw = path.read_bytes()
        assert raw.count(b"needle") == 1
        path.write_bytes(raw.replace(b"needle", b"n\xffedle"))
        names = mg.load(path).text.names
        assert names is not None
        assert names[:8] == ("hay",) * 8
        self.refused(lambda: list(names), "must be a whole parquet file")

    @pytest.mark.usefixtures("in_file")
    def test_parquet_that_is_not_utf_8(self, tmp_path: Path) -> None:
        lists = pa.array(vectors(2).tolist(), pa.list_(pa.float32()))
        buffers = [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff")]
        texts = pa.Array.from_buffers(pa.string(), 2, buffers)
        pq.write_table(pa.table({"image": lists, "image_name": texts}), tmp_path / "a.parquet")
        names = mg.load_embeddings(tmp_path / "a.parquet").names
        assert names is not None
        assert names[0] == "a"
        self.refused(lambda: names[1], "must be a whole parquet file.*utf-8")


@pytest.mark.usefixtures("in_file")
class TestChangedFiles:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_refused(self, suffix: str, tmp_path: Path) -> None:
        path = one_file(tmp_path, suffix)
        names = mg.load(path).text.names
        assert isinstance(names, Strings)
        again = pickle.loads(pickle.dumps(names))  # noqa: S301 - our own
        assert names[0] == NAMES[0]
        mg.save(pair(tuple(f"other{i}" for i in range(N))), path, overwrite=True)
        for work in (lambda: names[0], lambda: list(names), lambda: again.take([22, 0])):
            with pytest.raises(errors.FileError, match="must not change after it was opened"):
                work()

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_no_file_is_written_over_its_names(self, suffix: str, tmp_path: Path) -> None:
        path = one_file(tmp_path, suffix)
        found = mg.load(path)
        own = mg.Embeddings(vectors(), "text", found.text.names)
        some = pick(own, np.array([3, 1]))
        for data in (own, some):
            with pytest.raises(errors.OutputError, match="that these embeddings are read from"):
                mg.save(data, path, overwrite=True)


@pytest.mark.usefixtures("in_file")
class TestColumns:
    """Columns of Parquet files of other programs."""

    def write(self, folder: Path, column: pa.Array, rows: int = N) -> Path:
        lists = pa.array(vectors(rows).tolist(), pa.list_(pa.float32()))
        table = pa.table({"image": lists, "image_name": column})
        pq.write_table(table, folder / "a.parquet", row_group_size=4)
        return folder / "a.parquet"

    @pytest.mark.parametrize(
        "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
    )
    def test_types_and_nulls(self, kind: pa.DataType, tmp_path: Path) -> None:
        values = [None if i % 4 else name for i, name in enumerate(NAMES)]
        found = mg.load_embeddings(self.write(tmp_path, pa.array(values).cast(kind))).names
        assert found == tuple(each or "" for each in values)

    @pytest.mark.parametrize("kind", [pa.string(), pa.null()])
    @pytest.mark.parametrize("statistics", [True, False])
    def test_nulls_only_are_no_names(
        self, kind: pa.DataType, statistics: bool, tmp_path: Path
    ) -> None:
        path = self.write(tmp_path, pa.nulls(N, kind))
        pq.write_table(pq.read_table(path), path, write_statistics=statistics)
        assert mg.load_embeddings(path).names is None

    def test_no_statistics(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, pa.array([None] * 9 + list(NAMES[9:])))
        table = pq.read_table(path)
        pq.write_table(table, path, row_group_size=3, write_statistics=False)
        assert mg.load_embeddings(path).names == ("",) * 9 + NAMES[9:]

    def test_few_files_stay_open(self, tmp_path: Path) -> None:
        parquet_strings._opened.cache_clear()
        folder = tmp_path / "many"
        folder.mkdir()
        for i in range(9):
            mg.save(pair(NAMES[2 * i : 2 * i + 2]), folder / f"part_{i}.parquet")
        assert mg.load(folder).text.names == NAMES[:18]
        assert parquet_strings._opened.cache_info().currsize == parquet_strings.OPEN


def test_clip_retrieval_metadata(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("img_emb", "text_emb", "metadata"):
        (tmp_path / kind).mkdir()
    for i in range(3):
        for kind in ("img_emb", "text_emb"):
            np.save(tmp_path / kind / f"{kind}_{i}.npy", vectors(5))
        some = NAMES[5 * i : 5 * i + 5]
        table = pa.table({"image_path": some[::-1], "caption": some})
        pq.write_table(table, tmp_path / "metadata" / f"metadata_{i}.parquet")
    small = mg.load(tmp_path)
    assert small.text.names == NAMES[:15]
    monkeypatch.setattr(files, "SMALL", -1)
    large = mg.load(tmp_path)
    assert isinstance(large.text.names, ShardedStrings)
    assert large.text.names == small.text.names
    assert large.image.names == small.image.names


def test_one_large_list_of_small_shards_stays_in_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What counts is the size of all shards together."""
    folder = write_shards(tmp_path / "s", ".safetensors")
    total = sum(len(name.encode()) for name in NAMES) + 8 * (N + 3)
    monkeypatch.setattr(files, "SMALL", total)
    assert type(mg.load(folder).text.names) is tuple
    monkeypatch.setattr(files, "SMALL", total - 1)
    assert isinstance(mg.load(folder).text.names, ShardedStrings)


@pytest.mark.usefixtures("in_file")
def test_verbs_that_need_no_names_read_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = one_file(tmp_path, ".safetensors")

    def read(*_: object) -> list[str]:
        raise AssertionError("names were read")

    monkeypatch.setattr(JoinedStrings, "_read", read)
    monkeypatch.setattr(JoinedStrings, "_scattered", read)
    found = mg.load(path)
    assert mg.measure(found, only=["l2m", "rmg", "uniformity", "knn_mixing"])["l2m"].value >= 0
    closed = mg.close(found, "center")
    assert isinstance(closed.text.names, JoinedStrings)
    assert closed.text.fingerprint != found.text.fingerprint
    assert pick(found.text, np.array([3, 4])).n == 2


def test_names_of_users_stay_tuples() -> None:
    assert type(mg.Embeddings(vectors(), "text", list(NAMES)).names) is tuple
    assert type(mg.Embeddings(vectors(), "text", np.array(NAMES)).names) is tuple


class TestRepeats:
    """Of names that stay in the file."""

    def several(self) -> mg.Pair:
        """Captions of several images, and names that are repeated for different rows."""
        rows = vectors(6)[[0, 1, 0, 2, 1, 3, 4, 5]]
        names = ("one", "two", "one", "three", "two", "three", "猫", "")
        return mg.Pair(mg.Embeddings(vectors(8), "image"), mg.Embeddings(rows, "text", names))

    @pytest.mark.usefixtures("in_file")
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_as_in_memory(self, suffix: str, tmp_path: Path) -> None:
        want = repeats.joined(self.several())
        found = repeats.joined(mg.load(mg.save(self.several(), tmp_path / f"a{suffix}")))
        assert want.rows["text"].tolist() == [0, 1, 3, 5, 6, 7]
        assert found.rows["text"].tolist() == want.rows["text"].tolist()
        assert found.pair.fingerprint == want.pair.fingerprint
        assert found.pair.text.names == want.pair.text.names == (
            "one", "two", "three", "three", "猫", ""
        )  # fmt: skip
        assert found.note == want.note

    def test_names_of_one_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Equal rows of different names are never joined, even if all hashes of names are equal."""

        def same(_: bytes) -> int:
            return 7

        monkeypatch.setattr(repeats.xxhash, "xxh3_64_intdigest", same)
        whole = self.several()
        rows = whole.text.unit().clone()
        rows[1] = rows[0]  # "two" like "one"
        found = repeats.joined(mg.Pair(whole.image, mg.Embeddings(rows, "text", whole.text.names)))
        assert found.rows["text"].tolist() == [0, 1, 3, 4, 5, 6, 7]

    def test_too_many_to_look_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(repeats, "MOST", 7)
        found = repeats.joined(self.several())
        assert not found.rows
        assert found.note == (
            "repeated texts were not looked for: hashes of 8 names take too much memory (the limit"
            " is 7 names)"
        )
        assert mg.evaluate(self.several(), ["retrieval"]).pair["repeats"]["note"] == found.note
