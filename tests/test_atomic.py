"""Hidden files of killed processes are removed; those of living ones are not."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save_file

from modalgap import atomic
from modalgap.atomic import TEMPORARY, replacing, temporary_folder
from modalgap.tensor_files import sort_metadata


def dies(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def killed(path: Path) -> Path:
    """The hidden file that a killed process left."""
    process = multiprocessing.get_context("fork").Process(target=dies, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not path.exists()
    (found,) = path.parent.glob(f"{TEMPORARY}*")
    return found


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    assert killed(tmp_path / "a").read_bytes() == b"half"
    atomic._cleaned.discard(tmp_path)
    with replacing(tmp_path / "b") as file:
        file.write(b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["b"]


def test_files_that_are_being_written_stay(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as file:
        file.write(b"one")
        atomic.remove_abandoned(tmp_path)
        with replacing(tmp_path / "b") as other:
            other.write(b"two")
            atomic.remove_abandoned(tmp_path)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "a": b"one",
        "b": b"two",
    }


def _end_in_folder(parent: Path) -> None:
    with temporary_folder(parent) as part:
        (part / "weights").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_folders_of_killed_processes_are_removed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_end_in_folder, args=(tmp_path,))
    process.start()
    process.join()
    assert [each.name for each in tmp_path.glob("*/*")] == ["weights"]
    atomic._cleaned.discard(tmp_path)
    with temporary_folder(tmp_path) as part:
        assert [*tmp_path.iterdir()] == [part]
        atomic.remove_abandoned(tmp_path)  # by another process, while it is written
        (part / "weights").write_bytes(b"whole")
        part.rename(tmp_path / "model")
    assert (tmp_path / "model" / "weights").read_bytes() == b"whole"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_file_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = atomic._lock, []

    def late(handle: int) -> bool:
        if not calls:
            calls.append(handle)
            for each in tmp_path.glob(f"{TEMPORARY}*"):
                each.unlink()
        return lock(handle)

    monkeypatch.setattr(atomic, "_lock", late)
    with replacing(tmp_path / "a") as file:
        file.write(b"one")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"one")]


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_lock", lambda _: False)
    left = tmp_path / f"{TEMPORARY}0.part"
    left.write_bytes(b"")
    with replacing(tmp_path / "a") as file:
        file.write(b"one")
    assert left.exists()  # it may belong to a process that writes
    assert (tmp_path / "a").read_bytes() == b"one"


def test_metadata_is_sorted_in_place(tmp_path: Path) -> None:
    metadata = {key: f'é"\\\u2028{key}' for key in "fbdace"}
    written = set()
    for _ in range(8):
        path = tmp_path / "a.safetensors"
        save_file({"x": np.arange(6.0)}, path, metadata)
        with path.open("r+b") as file:
            sort_metadata(file)
        content = path.read_bytes()
        written.add(content)
        np.testing.assert_array_equal(load(content)["x"], np.arange(6.0))
    (only,) = written
    assert only.index(b'"a":') < only.index(b'"b":') < only.index(b'"f":')
