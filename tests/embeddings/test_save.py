"""Files out: the same comes back, whole or not at all, and nothing is overwritten unasked."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import modalgap as mg
from modalgap import atomic, errors, files
from modalgap.embeddings.rows import CHUNK
from modalgap.embeddings.store import load_any

SUFFIXES = (".npz", ".parquet", ".safetensors")
DTYPES = (torch.float16, torch.float32, torch.float64, torch.bfloat16)
N, D = 12, 7


def make(kind: str, dtype: torch.dtype = torch.float32, n: int = N, d: int = D) -> mg.Pair:
    """A pair with everything that a pair can hold."""
    rng = torch.Generator().manual_seed(0)
    m = {"rows": n, "text_to_image": 2 * n + 3, "labels": 4}[kind]
    image = mg.Embeddings(
        torch.randn(n, d, generator=rng).to(dtype) * 3,
        "image",
        names=[f"ü {i}\n<b>" if i else "" for i in range(n)],
        factors={"object": [f"о{i % 3}" for i in range(n)], "a b/c": np.arange(n) % 2},
        provenance={"model": "ViT-é", "logit_scale": "100", "a.b": ""},
    )
    text = mg.Embeddings(
        torch.randn(m, d, generator=rng).to(dtype), "audio", factors={"q": range(m)}
    )
    matches: dict[str, Any] = {
        "rows": {},
        "text_to_image": {"text_to_image": torch.arange(m).flip(0) % n},
        "labels": {"labels": np.arange(n, dtype=np.uint8) % 4},
    }
    return mg.Pair(image, text, **matches[kind])


def same(one: mg.Embeddings, two: mg.Embeddings) -> None:
    assert one.modality == two.modality
    assert one.names == two.names
    assert one.provenance == two.provenance
    assert one.factors.keys() == two.factors.keys()
    for name, values in one.factors.items():
        np.testing.assert_array_equal(values, two.factors[name])
    assert one.rows.dtype == two.rows.dtype
    assert torch.equal(one.rows.read(0, one.n), two.rows.read(0, two.n))
    assert one.fingerprint == two.fingerprint


@pytest.fixture(params=["at once", "as needed"])
def lazily(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Small files read into memory at once, or left on disk as large ones are."""
    if request.param == "as needed":
        monkeypatch.setattr(files, "SMALL", -1)
    return bool(request.param == "as needed")


@pytest.mark.parametrize("kind", ["rows", "text_to_image", "labels"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_saved_comes_back(
    suffix: str, dtype: torch.dtype, kind: str, lazily: bool, tmp_path: Path
) -> None:
    pair, path = make(kind, dtype), tmp_path / f"a{suffix}"
    if dtype is torch.bfloat16 and suffix != ".safetensors":
        with pytest.raises(
            errors.InputError, match=rf"a\{suffix}: .*bfloat16, which \.safetensors"
        ):
            mg.save(pair, path)
        assert not list(tmp_path.iterdir())
        return
    assert mg.save(pair, path) == path
    found = mg.load(path)
    same(pair.image, found.image)
    same(pair.text, found.text)
    assert found.matched_by == pair.matched_by
    assert found.fingerprint == pair.fingerprint
    assert found.image.rows.in_memory == (not lazily)
    # and from there into every other format
    for other in SUFFIXES if dtype is not torch.bfloat16 else ():
        again = mg.load(mg.save(found, tmp_path / f"b{other}"))
        assert again.fingerprint == pair.fingerprint


@pytest.mark.parametrize("side", ["image", "text"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_modality(suffix: str, side: str, tmp_path: Path) -> None:
    one = getattr(make("rows"), side)
    mg.save(one, tmp_path / f"a{suffix}")
    found = load_any(tmp_path / f"a{suffix}")
    assert isinstance(found, mg.Embeddings)
    same(one, found)
    same(one, mg.load_embeddings(tmp_path / f"a{suffix}", modality=one.modality))
    with pytest.raises(errors.FileError, match="must hold two modalities"):
        mg.load(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_rows_than_one_chunk(suffix: str, lazily: bool, tmp_path: Path) -> None:
    for kind in ("text_to_image", "labels"):
        pair = make(kind, torch.float16, n=4500, d=3)
        found = mg.load(mg.save(pair, tmp_path / f"{kind}{suffix}"))
        assert found.fingerprint == pair.fingerprint
        assert found.image.names == pair.image.names


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_data_makes_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    one, two = (mg.save(make("labels"), tmp_path / f"{name}{suffix}") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_others_can_read_what_we_write(tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from safetensors.numpy import load_file

    pair = make("text_to_image")
    x = pair.image.rows.read(0, N).numpy()
    np.testing.assert_array_equal(load_file(mg.save(pair, tmp_path / "a.safetensors"))["image"], x)
    with np.load(mg.save(pair, tmp_path / "a.npz"), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["image"], x)
        np.testing.assert_array_equal(found["matches.audio.image"], pair.text_to_image)
    table = pq.read_table(mg.save(pair, tmp_path / "a.parquet"))
    np.testing.assert_array_equal(np.stack(table["image"].to_pylist()[:N]), x)
    assert table["image"].null_count == pair.text.n - N


def test_tensors_are_aligned_for_those_who_map_them(tmp_path: Path) -> None:
    import json

    for dtype in DTYPES:
        path = mg.save(make("labels", dtype), tmp_path / f"{dtype}.safetensors")
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        assert length % 8 == 0
        for key, entry in json.loads(content[8 : 8 + length]).items():
            size = {"I64": 8, "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "U8": 1}
            if key != "__metadata__":
                assert entry["data_offsets"][0] % size[entry["dtype"]] == 0


def test_the_door_stands_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that lie on disk unread are checked before they are copied."""
    monkeypatch.setattr(files, "SMALL", -1)
    both = np.ones((2, 5, 3), np.float32)
    both[1, 3] = np.nan
    np.save(tmp_path / "a.npy", both)
    pair = mg.load(tmp_path / "a.npy")
    with pytest.raises(errors.InputError, match=r"a\.npy .text.*row 3 holds nan"):
        mg.save(pair, tmp_path / "b.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]


class TestTargets:
    def refuses(self, path: Path, message: str, **options: bool) -> None:
        with pytest.raises(errors.OutputError, match=message) as caught:
            mg.save(make("rows"), path, **options)
        assert str(caught.value).startswith(str(path)[:60])  # a long name is shortened
        assert "\n" not in str(caught.value)

    def test_nothing_is_overwritten_unless_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        path.write_bytes(b"precious")
        self.refuses(path, "exists")
        assert path.read_bytes() == b"precious"
        mg.save(make("rows"), path, overwrite=True)
        assert mg.load(path).image.n == N

    def test_a_file_that_appears_meanwhile_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"

        def write() -> None:
            with atomic.replacing(path) as file:
                file.write(b"ours")
                path.write_bytes(b"theirs")

        with pytest.raises(errors.OutputError, match="exists"):
            write()
        assert path.read_bytes() == b"theirs"
        assert len(list(tmp_path.iterdir())) == 1

    def test_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        self.refuses(tmp_path / "nowhere" / "a.npz", "a folder that exists; found no")
        (tmp_path / "file").touch()
        self.refuses(tmp_path / "file" / "a.npz", "a folder that exists; found no")
        (tmp_path / "folder.npz").mkdir()
        self.refuses(tmp_path / "folder.npz", "must be a file; found a folder", overwrite=True)
        os.mkfifo(tmp_path / "pipe.npz")
        self.refuses(tmp_path / "pipe.npz", "found a pipe, socket or device", overwrite=True)
        self.refuses(tmp_path / f"{'long' * 99}.npz", "cannot be written .File name too long")
        self.refuses(Path("/proc/a.npz"), "cannot be written .")

    @pytest.mark.parametrize("name", ["a.npy", "a.csv"])
    def test_unknown_extension(self, name: str, tmp_path: Path) -> None:
        self.refuses(tmp_path / name, r"must end in \.npz, \.parquet, \.safetensors; found")

    def test_not_onto_what_is_being_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = mg.save(make("rows"), tmp_path / "a.safetensors")
        mg.save(mg.load(path), path, overwrite=True)  # in memory: no harm
        monkeypatch.setattr(files, "SMALL", -1)
        lazy = mg.load([path, path])
        (tmp_path / "link.safetensors").symlink_to(path)
        with pytest.raises(
            errors.OutputError, match="must not be a file that these embeddings are"
        ):
            mg.save(lazy, tmp_path / "link.safetensors", overwrite=True)
        assert mg.load(path).fingerprint == make("rows").fingerprint

    def test_a_link_keeps_pointing_where_it_did(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "a.npz").symlink_to(tmp_path / "folder" / "b.npz")
        mg.save(make("rows"), tmp_path / "a.npz")
        assert (tmp_path / "a.npz").is_symlink()
        assert mg.load(tmp_path / "folder" / "b.npz").image.n == N

    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "plain").touch()
        path = mg.save(make("rows"), tmp_path / "a.npz")
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
            (tmp_path / "plain").stat().st_mode
        )

    def test_what_is_no_embeddings(self, tmp_path: Path) -> None:
        with pytest.raises(errors.InputError, match="Embeddings or Modalities; got nd"):
            mg.save(np.ones((2, 3)), tmp_path / "a.npz")  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["x.bytes", "x.offsets", "a\nb", "x" * 300])
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_factor_names_that_are_no_keys(self, suffix: str, name: str, tmp_path: Path) -> None:
        one = mg.Embeddings(np.eye(3), factors={name: range(3)})
        with pytest.raises(errors.InputError, match=rf"a\{suffix}: a factor .*printable name"):
            mg.save(one, tmp_path / f"a{suffix}")
        assert not list(tmp_path.iterdir())

    def test_a_header_that_is_too_long(self, tmp_path: Path) -> None:
        one = mg.Embeddings(np.eye(3), provenance={"log": "x" * 2**24})
        with pytest.raises(errors.InputError, match=r"a\.safetensors: provenance must fit"):
            mg.save(one, tmp_path / "a.safetensors")

    def test_text_that_no_file_can_hold(self) -> None:
        for about in (
            {"names": ["a", "\ud800", "b"]},
            {"provenance": {"model": "\udc80"}},
            {"factors": {"\ud800": range(3)}},
            {"factors": {"x": ["a", "\ud800", "b"]}},
        ):
            with pytest.raises(errors.InputError, match="valid Unicode"):
                mg.Embeddings(np.eye(3), **about)


class FailingRows:
    """Rows on a disk that fails, or a user who loses patience, in the middle of a save."""

    shape = (2 * CHUNK + 1, 3)
    dtype = torch.float32
    in_memory = False

    def __init__(self, error: BaseException, after: int) -> None:
        self.error, self.left = error, after

    def read(self, start: int, stop: int) -> Tensor:
        if self.left == 0:
            raise self.error
        self.left -= 1
        return torch.ones(stop - start, 3)

    def take(self, index: Tensor) -> Tensor:
        return torch.ones(len(index), 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(28, "No space left on device"), errors.OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("a bug of ours"), ValueError),
    ],
)
def test_a_save_that_fails_leaves_nothing(
    suffix: str, error: BaseException, shown: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"precious")
    # three reads check the rows; the second chunk of three is never written
    one = mg.Embeddings(FailingRows(error, after=4))
    with pytest.raises(shown):
        mg.save(one, path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("how", ["killed", "disk full"])
def test_a_process_that_ends_in_the_middle(how: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"precious")
    script = """
        import os, resource, signal, sys, numpy as np, modalgap as mg
        from modalgap.embeddings import store
        data = mg.Embeddings(np.ones((5000, 30), np.float32))
        write = store.WRITERS[".npz"]
        def interrupted(data, file):
            for i, rows in enumerate(write(data, file)):
                yield rows
                if i == 1:
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "killed":
            store.WRITERS[".npz"] = interrupted
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            mg.save(data, sys.argv[1], overwrite=True)
        except mg.errors.OutputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path), how],
        check=False,
        capture_output=True,
        text=True,
    )
    assert path.read_bytes() == b"precious"
    others = [file for file in tmp_path.iterdir() if file != path]
    if how == "killed":  # nobody is left to tidy up; what remains is hidden and never read
        assert done.returncode == -signal.SIGKILL
        assert [file.suffix for file in others] == [".part"]
        assert others[0].stat().st_size > 0
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{path}: cannot be written (File too large)\n"
        assert others == []
