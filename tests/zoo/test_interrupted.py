"""A zoo that is killed, whose disk is full, or whose models break the process they run in."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from encode.cases import folder_of
from patience import LIMIT, in_full, until
from zoo.cases import OPTIONS, QUICK, REFUSED, again, breaks, broken, disturbed, limited, quick

from modalgap.zoo import Zoo, cell, verb
from modalgap.zoo.cells import Cell

MOST = 1000  # more than the changes of files of a run
Start = Callable[..., int]


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("data") / "captions", 6)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Calls a function in a new process, which has the modules loaded; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["modalgap.zoo", "zoo.cases", "open_clip"])

    def call(function: Callable[..., None], *arguments: Any) -> int:
        process = context.Process(target=function, args=arguments)
        process.start()
        process.join(LIMIT)
        assert process.exitcode is not None
        return process.exitcode

    yield call
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]


def everything(folder: Path) -> dict[str, bytes]:
    """Each file of a zoo with its bytes; of a record, the numbers."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.parent.name == "cells":
            record = json.loads(content)
            content = json.dumps([record["state"], record["values"], record["facts"]]).encode()
        found[str(path.relative_to(folder))] = content
    return found


def finished(folder: Path) -> dict[Path, int]:
    """The records and the features that are complete, each with the time of its last change."""
    files = [*folder.glob("cells/*.json"), *folder.glob("embeddings/*.safetensors")]
    parts = {path.name for path in folder.glob("embeddings/*.parts")}
    return {path: path.stat().st_mtime_ns for path in files if f"{path.name}.parts" not in parts}


def check_resumes(start: Start, captions: Path, folder: Path, whole: dict[str, bytes]) -> None:
    """The same command ends with the same files, and writes nothing again that was complete."""
    before = finished(folder)
    assert start(quick, captions, folder) == 0
    assert everything(folder) == whole
    assert {path: finished(folder)[path] for path in before} == before


def moments(changes: int, count: int) -> list[int]:
    return sorted({changes * i // count for i in range(count)})


@pytest.mark.parametrize("how", ["kill", "full"])
@pytest.mark.parametrize("count", [5, pytest.param(MOST, marks=in_full)])
def test_disturbed_at_a_change_of_a_file(
    how: str, count: int, start: Start, captions: Path, tmp_path: Path
) -> None:
    """After each single change of a file the process is killed, or the disk is full."""
    number = multiprocessing.get_context("forkserver").RawValue("i", 0)  # no lock survives a kill
    assert start(disturbed, captions, tmp_path / "whole", MOST, how, number) == 0
    whole, changes = everything(tmp_path / "whole"), number.value
    assert 20 < changes < MOST
    assert "results.parquet" in whole
    for at in moments(changes, min(count, changes)):
        folder = tmp_path / f"z{at}"
        number.value = 0
        code = start(disturbed, captions, folder, at, how, number)
        if how == "kill":
            assert code == -signal.SIGKILL
        else:  # one plain error, or cells that failed: no traceback
            assert code in (0, REFUSED)
        check_resumes(start, captions, folder, whole)


def test_a_full_disk_keeps_results(start: Start, captions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "z"
    assert start(quick, captions, folder) == 0
    before = Zoo.read(folder)
    for size in (0, 100, 1000):  # bytes of a file
        assert start(limited, captions, folder, size) == REFUSED
        assert Zoo.read(folder).values == before.values
    assert start(quick, captions, folder, ("one", "two", "three")) == 0
    assert Zoo.read(folder).data == ["one", "two", "three"]


def cells_of(captions: Path, names: Sequence[str]) -> list[Cell]:
    """One cell per name, each of a model of its own."""
    return [Cell(model=f"{QUICK}-{each}", data=str(captions), name=each) for each in names]


def test_models_that_raise_any_error(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors that are no Exception, and numbers that are not finite."""
    monkeypatch.setattr(cell, "load_model", broken)
    found = cells_of(captions, ["first", "exit", "panic", "nan"])
    result = verb.run_cells(found, tmp_path / "z", isolated=False, **OPTIONS)
    assert result.data == ["first", "nan"]
    assert "temperature" not in result.models[f"{QUICK}-nan"]
    assert {data: reason for _, data, reason in result.failed} == {
        "exit": "SystemExit: bye",
        "panic": "BaseException: panic",
    }
    monkeypatch.setattr(cell, "load_model", lambda _, seed: broken("first", seed))
    assert verb.run_cells(found, tmp_path / "z", isolated=False, **OPTIONS).failed == []


@pytest.mark.slow
def test_models_that_break_their_process(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "compute", breaks)
    found = cells_of(captions, ["first", "exit", "segfault", "abort", "kill", "last"])
    result = verb.run_cells(found, tmp_path / "z", **OPTIONS)
    assert result.data == ["first", "last"]
    assert {data: reason for _, data, reason in result.failed} == {
        "exit": "SystemExit: bye",
        "segfault": "its process ended (SIGSEGV)",
        "abort": "its process ended (SIGABRT)",
        "kill": "its process ended (SIGKILL), possibly because memory ran out",
    }
    assert verb.run_cells(found, tmp_path / "z", **OPTIONS).failed == result.failed


def test_reasons_of_a_process_that_ended() -> None:
    assert verb.died("SIGKILL") == "its process ended (SIGKILL), possibly because memory ran out"
    assert "__name__" in verb.died("exit code 1")
    assert verb.died("") == "its process ended"


def test_without_reuse_everything_is_computed_again(
    start: Start, captions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "z"
    assert start(quick, captions, folder) == 0
    whole = everything(folder)
    before = finished(folder)
    assert start(again, captions, folder) == 0
    assert everything(folder) == whole
    assert all(time > before[path] for path, time in finished(folder).items())


def run(captions: Path, folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "modalgap", "zoo", "-m", "open_clip:ViT-S-32-alt/random", "-m",
        "open_clip:ViT-M-32-alt/random", "-d", str(captions), "--measures", "rmg",
        "--tasks", "retrieval", "--workers", "0",
        "-o", str(folder),
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def child_of(process: subprocess.Popen[str]) -> int | None:
    """The process of a model (Linux)."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in path.joinpath("cmdline").read_bytes():
                return int(path.name)
        except (OSError, ValueError):
            continue
    return None


@in_full
def test_killed_from_outside(captions: Path, tmp_path: Path) -> None:
    """The command, and the processes of its models, killed at several moments."""
    with run(captions, tmp_path / "whole") as process:
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    whole, folder = everything(tmp_path / "whole"), tmp_path / "z"
    for wait in (0.0, 1.0, 3.0, 6.0):
        with run(captions, folder) as process:
            until(lambda process=process: child_of(process) is not None, process)
            time.sleep(wait)
            process.kill()
            process.communicate(timeout=LIMIT)
    with run(captions, folder) as process:
        until(lambda: child_of(process) is not None, process)
        child = child_of(process)
        if child is not None:
            os.kill(child, signal.SIGKILL)
        _, said = process.communicate(timeout=LIMIT)
        assert process.returncode == (0 if child is None else 1)
        if child is not None:
            assert "its process ended (SIGKILL), possibly because memory ran out" in said
    with run(captions, folder) as process:
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert everything(folder) == whole
