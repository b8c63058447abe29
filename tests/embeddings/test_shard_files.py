"""A folder of shards holds what was written, whoever writes it and however often it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings import Modalities, shard_files
from modalgap.embeddings.rows import PickedRows
from modalgap.embeddings.shard_files import save_shards
from modalgap.work import on, path_of

N = 23


def made(seed: int, n: int = N) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)).half()


def names(n: int) -> list[str]:
    return [f"item {i}" for i in range(n)]


def pair_of(kind: str) -> mg.Pair:
    factors = {"color": np.arange(N) % 3}
    image = mg.Embeddings(made(0), names=names(N), factors=factors, provenance={"model": "none"})
    if kind == "captions":
        texts = mg.Embeddings(made(1, 2 * N), "text", names(2 * N))
        return mg.Pair(image, texts, text_to_image=np.arange(2 * N) // 2)
    if kind == "labels":
        return mg.Pair(image, mg.Embeddings(made(1, 3), "text"), labels=np.arange(N) % 3)
    return mg.Pair(image, mg.Embeddings(made(1), "text"))


@pytest.fixture(autouse=True)
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "SPAN", 10)


@pytest.mark.parametrize("kind", ["rows", "captions", "labels"])
def test_what_is_written_is_read(kind: str, tmp_path: Path) -> None:
    pair = pair_of(kind)
    folder = save_shards(pair, tmp_path / "new" / "shards")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"part-0000{i}-of-00003.safetensors" for i in range(3)
    ]
    found = mg.load(folder)
    assert found.fingerprint == pair.fingerprint
    assert list(found.image.names) == list(pair.image.names)
    assert found.image.provenance == pair.image.provenance
    assert not path_of(folder).exists()


def test_other_data(tmp_path: Path) -> None:
    side = mg.Embeddings(made(0), "audio", names(N))
    found = mg.load_embeddings(save_shards(side, tmp_path / "one"))
    assert found.fingerprint == side.fingerprint
    mods = Modalities([mg.Embeddings(made(i), name) for i, name in enumerate("abc")])
    assert mg.load(save_shards(mods, tmp_path / "more")).fingerprint == mods.fingerprint
    turned = mg.Pair(made(0), made(1), text_to_image=np.arange(N)[::-1])
    with pytest.raises(errors.InputError, match="in the order of their images"):
        save_shards(turned, tmp_path / "turned")
    assert not (tmp_path / "turned").exists()


def test_closed_rows_are_written_where_they_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL", -1)
    pair = mg.load(mg.save(pair_of("captions"), tmp_path / "a.safetensors"))
    closed = mg.close.fit(pair, "center").apply(pair)
    whole = mg.load(mg.save(closed, tmp_path / "whole.safetensors"))
    with on("processes:2"):
        folder = save_shards(closed, tmp_path / "shards")
    assert mg.load(folder).fingerprint == whole.fingerprint


def test_what_is_there_is_not_lost(tmp_path: Path) -> None:
    folder = save_shards(pair_of("rows"), tmp_path / "shards")
    before = mg.load(folder).fingerprint
    other = mg.Embeddings(made(7, 12), "image")
    with pytest.raises(errors.OutputError, match="holds shards; replace them with --force"):
        save_shards(other, folder)
    assert mg.load(folder).fingerprint == before
    save_shards(other, folder, overwrite=True)
    assert mg.load_embeddings(folder).fingerprint == other.fingerprint
    assert len(list(folder.iterdir())) == 2
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(errors.OutputError, match=r"found mine\.txt"):
        save_shards(other, folder, overwrite=True)
    assert (folder / "mine.txt").read_text() == "precious"


KILLED = """
import os, signal, sys
import modalgap as mg
from modalgap import files
from modalgap.embeddings import shard_files
files.SMALL = -1
shard_files.SPAN = 10
write = shard_files.save
def save(data, path, **options):
    write(data, path, **options)
    if path.name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
shard_files.save = save
shard_files.save_shards(mg.load(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "SMALL", -1)
    pair = pair_of("captions")
    source = mg.save(pair, tmp_path / "a.safetensors")
    folder = tmp_path / "shards"
    second = "part-00001-of-00003.safetensors"
    ended = subprocess.run([sys.executable, "-c", KILLED, source, folder, second], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not folder.exists() or not os.listdir(folder)  # noqa: PTH208 - it may be empty
    written = []
    write = shard_files.save

    def save(data: object, path: Path, **options: object) -> Path:
        written.append(path.name)
        return write(data, path, **options)

    monkeypatch.setattr(shard_files, "save", save)
    save_shards(mg.load(source), folder)
    assert written == ["part-00002-of-00003.safetensors"]
    assert "2 of 3 shards were there already" in capsys.readouterr().err
    assert mg.load(folder).fingerprint == pair.fingerprint


def killed(data: mg.Pair, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the first shard only."""
    write = shard_files.save

    def save(data: object, path: Path, **options: object) -> Path:
        if path.name.startswith("part-00001"):
            raise KeyboardInterrupt
        return write(data, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shard_files, "save", save)
        with pytest.raises(KeyboardInterrupt):
            save_shards(data, folder)


def test_other_data_of_the_same_file_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL", -1)
    pair = mg.load(mg.save(pair_of("labels"), tmp_path / "a.safetensors"))
    image, text = pair.image, pair.text
    rows = image.rows
    others = [
        mg.Pair(image, text, labels=(np.arange(N) + 1) % 3),
        mg.Pair(mg.Embeddings(rows, names=names(N + 1)[1:]), text, labels=pair.labels),
        mg.Pair(mg.Embeddings(rows, factors={"a": np.arange(N)}), text, labels=pair.labels),
        mg.Pair(mg.Embeddings(rows, provenance={"model": "b"}), text, labels=pair.labels),
        mg.Pair(
            mg.Embeddings(PickedRows(rows, torch.arange(N).flip(0)), names=image.names),
            text,
            labels=pair.labels,
        ),
        mg.Pair(mg.Embeddings(Own(0.5)), text, labels=pair.labels),
    ]
    killed(
        mg.Pair(mg.Embeddings(Own(1.0)), text, labels=pair.labels), tmp_path / "own", monkeypatch
    )
    with pytest.raises(errors.InputError, match="other settings"):
        save_shards(others[-1], tmp_path / "own")
    killed(pair, tmp_path / "shards", monkeypatch)
    for other in others:
        with pytest.raises(errors.InputError, match="other settings"):
            save_shards(other, tmp_path / "shards")
    again = mg.load(tmp_path / "a.safetensors")
    assert mg.load(save_shards(again, tmp_path / "shards")).fingerprint == pair.fingerprint


class Own:
    """Rows of a class of a user."""

    shape, dtype, in_memory = (N, 4), torch.float32, False

    def __init__(self, value: float) -> None:
        self.value = value

    def read(self, start: int, stop: int) -> torch.Tensor:
        return torch.full((stop - start, 4), self.value)

    def take(self, index: torch.Tensor) -> torch.Tensor:
        return torch.full((len(index), 4), self.value)


def test_folders_that_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pair_of("rows")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".mine").write_text("precious")
    (tmp_path / "deep" / "a.safetensors").mkdir(parents=True)
    for name, found in {"hidden": r"\.mine", "deep": r"a\.safetensors"}.items():
        for overwrite in (False, True):
            with pytest.raises(errors.OutputError, match=f"found {found}"):
                save_shards(pair, tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "hidden" / ".mine").read_text() == "precious"
    with pytest.raises(errors.OutputError, match=r"cannot be read .*null (byte|character)"):
        save_shards(pair, f"{tmp_path}/a\0b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.OutputError, match="must be a local folder"):
        save_shards(pair, "s3://bucket/shards")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(errors.OutputError, match=r"^\.: cannot be replaced"):
        save_shards(pair, ".")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    for seed in (0, 1):
        data = mg.Embeddings(made(seed), "image")
        assert save_shards(data, tmp_path / "link", overwrite=True) == tmp_path / "link"
        assert mg.load_embeddings(tmp_path / "disk").fingerprint == data.fingerprint
    assert (tmp_path / "link").is_symlink()


def test_unfinished_files_of_a_killed_run_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shards"
    killed(pair_of("rows"), folder, monkeypatch)
    (place,) = path_of(folder).glob("shards-*")
    (place / ".modalgap-0123456789abcdef.part").write_text("half")
    save_shards(pair_of("rows"), folder)
    assert len(os.listdir(folder)) == 3  # noqa: PTH208 - hidden files too


def test_object_stores_are_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.OutputError, match="must be a local folder"):
        mg.save(pair_of("rows"), "s3://bucket/closed")
    assert not any(tmp_path.iterdir())
