"""Files that break a rule: one line that names the file, the rule and what was found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings.store import load_any

N, M, D = 6, 9, 4
T2I = np.array([0, 1, 2, 3, 4, 5, 0, 0, 3])


def rows(n: int = N, seed: int = 0, d: int = D) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.fixture(params=["at once", "as needed"])
def lazily(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files read into memory at once, or left on disk as large ones are."""
    if request.param == "as needed":
        monkeypatch.setattr(files, "SMALL", -1)


def put(where: tuple[int, ...], value: float) -> NDArray[Any]:
    found = np.stack([rows(), rows(seed=1)])
    found[where] = value
    return found


PAIR = {"image": rows(), "text": rows(seed=1)}
LONG = {"image": rows(), "text": rows(M)}
BAD = {  # a name for the test: a file, what is saved in it, and what the line must say
    "nan": ("a.npy", put((0, 3, 1), np.nan), r"\(image\).*finite.*row 3 holds nan"),
    "infinity": ("a.npy", put((1, 2, 0), np.inf), r"\(text\).*finite.*row 2 holds nan or inf"),
    "a zero row": ("a.npy", put((0, 4), 0), "not zero; row 4 holds only zeros"),
    "n differs": ("a.npz", {"image": rows(), "text": rows(5)}, "rows; got 6 and 5"),
    "d differs": ("a.npz", {"image": rows(), "text": rows(d=3)}, "same width; got 4 and 3"),
    "one dimension": ("a.npy", np.ones(5), r"shape \(2, n, d\).*found \(5,\)"),
    "three of something": ("a.npy", np.ones((3, 5, 2)), r"\(2, n, d\).*found \(3, 5, 2\)"),
    "four dimensions": ("a.npy", np.ones((2, 5, 2, 1)), r"\(2, n, d\).*found \(2, 5, 2, 1\)"),
    "three in an npz": ("a.npz", {"image": np.ones((1, 2, 3))}, r"two dim.*\(1, 2, 3\)"),
    "integers": ("a.npy", np.ones((2, 5, 2), int), "float16, float32 or float64; found int64"),
    "complex": ("a.npy", np.ones((2, 5, 2), "c8"), "float16, float32 or float64; found complex64"),
    "long doubles": ("a.npy", np.ones((2, 5, 2), "g"), "float16, float32 or float64; found float"),
    "n = 1": ("a.npy", np.ones((2, 1, 3)), r"at least 2 rows.*got shape \(1, 3\)"),
    "n = 0": ("a.npy", np.ones((2, 0, 3)), r"at least 2 rows.*got shape \(0, 3\)"),
    "d = 0": ("a.npy", np.ones((2, 3, 0)), r"1 column; got shape \(3, 0\)"),
    "objects": ("a.npy", np.array([[object()]]), "Python objects, which are never loaded"),
    "objects in an npz": ("a.npz", {"image": np.array([[{}]])}, "'image'.*Python objects"),
    "matches out of range": (
        "a.npz", {**LONG, "text_to_image": T2I + 1}, "text_to_image.*0 … 5.*row 5 holds 6",
    ),
    "negative matches": ("a.npz", {**LONG, "text_to_image": T2I - 1}, "row 0 holds -1"),
    "too few matches": ("a.npz", {**LONG, "text_to_image": T2I[:4]}, r"\(9,\).*got \(4,\)"),
    "labels out of range": ("a.npz", {**PAIR, "labels": [9] * N}, "labels.*0 … 5.*row 0 holds 9"),
    "too many labels": ("a.npz", {**PAIR, "labels": T2I}, r"labels.*\(6,\).*got \(9,\)"),
    "both kinds of match": (
        "a.npz",
        {**PAIR, "labels": [0] * N, "text_to_image": [0] * N},
        "in one way only; found text_to_image and labels",
    ),
    "names too short": ("a.npz", {**PAIR, "image_names": ["a"]}, "names must be 6.*got 1"),
    "names of numbers": ("a.npz", {**PAIR, "image_names": T2I}, "image_names.*strings.*int64"),
    "half a string table": (
        "a.npz", {**PAIR, "text_names.bytes": np.ones(2, "u1")}, "both .bytes and .offsets",
    ),
    "offsets that fall": (
        "a.npz",
        {**PAIR, "text_names.bytes": np.ones(2, "u1"), "text_names.offsets": [0, 0, 0, 0, 0, 3, 2]},
        "rise from 0 to 2",
    ),
    "not UTF-8": (
        "a.npz",
        {**PAIR, "text_names.bytes": np.full(2, 255, "u1"), "text_names.offsets": [0] * 6 + [2]},
        "UTF-8",
    ),
    "factors too short": ("a.npz", {**PAIR, "image_factor_x": [1]}, r"factor 'x'.*\(6,\).*\(1,\)"),
    "factors of floats": ("a.npz", {**PAIR, "image_factor_x": [1.5] * N}, "integers or strings"),
    "ragged lists": ("a.parquet", {"image": [[1.0, 2.0], [1.0]]}, "found lengths 2 and 1"),
    "nulls in a list": ("a.parquet", {"image": [[1.0, None], [1.0, 2.0]]}, "found nulls"),
    "nulls between rows": ("a.parquet", {"image": [[1.0], None, [2.0]]}, "empty rows at the end"),
    "lists of integers": ("a.parquet", {"image": [[1], [2]]}, "lists of float16.*found int64"),
    "no lists": ("a.parquet", {"image": [1.0, 2.0]}, "'image' or 'text'.*found 'image'"),
    "matches with holes": (
        "a.parquet",
        {"image": [[1.0]] * 3, "text": [[1.0]] * 3, "labels": [0, None, 1]},
        "'labels' must have its nulls at the end",
    ),
    "factor with holes": (
        "a.parquet", {"image": [[1.0]] * 2, "image_factor_x": [None, 1]}, "factor_x'.*2 rows",
    ),
    "names that are numbers": (
        "a.parquet", {"image": [[1.0]] * 2, "image_name": [1, 2]}, "'image_name' must be strings",
    ),
}  # fmt: skip


def write_bad(path: Path, content: Any) -> None:
    if path.suffix == ".npy":
        np.save(path, content, allow_pickle=True)
    elif path.suffix == ".npz":
        np.savez(path, **content)
    else:
        pq.write_table(pa.table(content), path)


def read_all(found: mg.Pair | mg.Embeddings) -> None:
    for side in found.sides:
        side.fingerprint  # noqa: B018 - reads every row
        list(side.names or ())


@pytest.mark.parametrize("case", BAD)
@pytest.mark.usefixtures("lazily")
def test_data_that_breaks_a_rule(case: str, tmp_path: Path) -> None:
    name, content, message = BAD[case]
    write_bad(tmp_path / name, content)
    with pytest.raises(errors.InputError, match=message) as caught:
        read_all(load_any(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


WRITE: dict[str, Callable[[Path], object]] = {
    ".npy": lambda path: np.save(path, np.ones((2, 9, 9))),
    ".npz": lambda path: np.savez(path, **PAIR),
    ".safetensors": lambda path: save_file(PAIR, path),
    ".parquet": lambda path: pq.write_table(pa.table({"image": rows().tolist()}), path),
}


class TestPaths:
    def refuses(self, path: Any, message: str) -> None:
        with pytest.raises(errors.FileError, match=message) as caught:
            mg.load(path)
        assert str(path) in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.refuses(tmp_path / "a.npy", "no such file or directory")
        self.refuses(tmp_path / "*.npy", "match at least one file; found none")
        self.refuses(tmp_path / "nowhere", "no such file or directory")

    @pytest.mark.parametrize("suffix", WRITE)
    def test_empty_and_truncated(self, suffix: str, tmp_path: Path) -> None:
        (tmp_path / f"a{suffix}").touch()
        self.refuses(tmp_path / f"a{suffix}", "found an empty file")
        path = tmp_path / f"b{suffix}"
        WRITE[suffix](path)
        path.write_bytes(path.read_bytes()[:-40])
        self.refuses(path, "must")

    @pytest.mark.parametrize("size", [1, 5, 7])
    def test_shorter_than_the_length_of_a_header(self, size: int, tmp_path: Path) -> None:
        (tmp_path / "a.safetensors").write_bytes(b"x" * size)
        self.refuses(tmp_path / "a.safetensors", f"a file of {size} bytes: it is truncated")

    def test_longer_than_it_says(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.ones((2, 9, 9)))
        with (tmp_path / "a.npy").open("ab") as file:
            file.write(b"more")
        self.refuses(tmp_path / "a.npy", "1296 bytes.*found 1300")

    def test_unknown_extension(self, tmp_path: Path) -> None:
        for name in ("a.csv", "a", "a.pkl"):
            (tmp_path / name).write_text("1,2")
            self.refuses(tmp_path / name, r"end in \.npy, \.npz, \.parquet, \.safetensors; found")

    def test_extensions_in_capitals(self, tmp_path: Path) -> None:
        with (tmp_path / "A.NPY").open("wb") as file:
            np.save(file, np.stack([rows(), rows()]))
        assert mg.load(tmp_path / "A.NPY").image.n == N

    def test_folders(self, tmp_path: Path) -> None:
        self.refuses(tmp_path, r"must hold \.npy.*img_emb/.*found none")
        np.save(tmp_path / "image.npy", rows())
        np.save(tmp_path / "text.npy", rows())
        self.refuses(tmp_path, "files of two modalities.*image= and text=")
        (tmp_path / "a.npz").touch()
        self.refuses(tmp_path, r"shards of one format; found \.npy, \.npz")
        (tmp_path / "folder.npy").mkdir()
        self.refuses(tmp_path / "folder.npy", "regular file; found a directory")

    def test_hidden_files_are_no_shards(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.stack([rows(), rows()]))
        (tmp_path / ".a.npz").touch()
        assert mg.load(tmp_path).image.n == N

    def test_pipes_and_devices_are_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.npy")
        self.refuses(tmp_path / "a.npy", "regular file; found a pipe, socket or device")
        (tmp_path / "b.npy").symlink_to("/dev/zero")
        self.refuses(tmp_path / "b.npy", "regular file; found a pipe, socket or device")

    def test_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        np.save(tmp_path / "a.npy", np.stack([rows(), rows()]))

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:  # the tests may run as root, who may read anything
            patch.setattr(Path, "open", refuse)
            self.refuses(tmp_path / "a.npy", "cannot be read .Permission denied")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "iterdir", refuse)
            self.refuses(tmp_path, "cannot be read .Permission denied")

    @pytest.mark.parametrize("path", [3, None, [], [3], b"a.npy", {"a.npy"}])
    def test_no_path(self, path: Any) -> None:
        with pytest.raises(errors.InputError, match=r"^path:? must"):
            mg.load(path)

    def test_a_file_that_changes_while_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "SMALL", -1)
        np.save(tmp_path / "a.npy", np.stack([rows(), rows()]))
        pair = mg.load(tmp_path / "a.npy")
        (tmp_path / "a.npy").write_bytes(b"")
        with pytest.raises(errors.FileError, match=r"a\.npy: must not change after it was opened"):
            pair.fingerprint  # noqa: B018


class Payload:
    """Creates a file when a pickle of it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "names.npz", "factor.npz"])
def test_pickles_are_never_run(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    bomb = np.array([[Payload(marker)]], dtype=object)
    contents: dict[str, Any] = {
        "a.npy": bomb,
        "a.npz": {"image": bomb},
        "names.npz": {**PAIR, "image_names": bomb},
        "factor.npz": {**PAIR, "image_factor_x": bomb},
    }
    write_bad(tmp_path / name, contents[name])
    with pytest.raises(errors.FileError, match="Python objects, which are never loaded"):
        mg.load(tmp_path / name)
    assert not marker.exists()


def test_the_payload_does_work(tmp_path: Path) -> None:
    bomb = np.array([Payload(tmp_path / "executed")], dtype=object)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert (tmp_path / "executed").exists()


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", image=np.ones((4000, 500)), text=np.ones((4000, 500)))
    with monkeypatch.context() as patch:
        patch.setattr(files, "SMALL", 2**20)
        with pytest.raises(errors.FileError, match=r"a\.npz: 'image' .*compress little; found \d+"):
            mg.load(tmp_path / "a.npz")
    monkeypatch.setattr(files, "available_memory", lambda: 10 * 2**20)
    with pytest.raises(errors.FileError, match=r"a\.npz: must fit in the available memory"):
        mg.load(tmp_path / "a.npz")


def test_a_parquet_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([[1.0], [2.0]] + [None] * 2_000_000, pa.list_(pa.float32()))
    pq.write_table(pa.table({"image": column, "labels": np.zeros(len(column), int)}), path)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(files, "available_memory", lambda: 10 * 2**20)
    with pytest.raises(errors.FileError, match=r"a\.parquet: must fit in the available memory"):
        load_any(path)


def test_empty_rows_far_from_the_end(tmp_path: Path) -> None:
    """Nulls that fill the end of one batch, and rows that begin with the next."""
    values = [[1.0]] * 8000 + [None] * 192 + [[1.0]] * 10
    pq.write_table(pa.table({"image": values}), tmp_path / "a.parquet")
    with pytest.raises(errors.FileError, match="must have its empty rows at the end"):
        load_any(tmp_path / "a.parquet")


def test_newer_files_ask_for_a_newer_reader(tmp_path: Path) -> None:
    for version, good in {
        "1": True,
        "1.5": True,
        "2": True,
        "4": False,
        "10.0": False,
        "": False,
    }.items():
        about = {"format": "modalgap", "version": version, "image.model": "m"}
        save_file(PAIR, tmp_path / "a.safetensors", about)
        if good:
            assert mg.load(tmp_path / "a.safetensors").image.provenance == {"model": "m"}
        else:
            with pytest.raises(errors.FileError, match=r"a\.safetensors.*version.*found '"):
                mg.load(tmp_path / "a.safetensors")
    save_file(PAIR, tmp_path / "a.safetensors", {"format": "pt", "image.model": "m"})
    assert mg.load(tmp_path / "a.safetensors").image.provenance == {}
