"""Executors give the same results, whichever they are; parts belong to one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import CALLS, drawing, failing

from modalgap import errors
from modalgap.work import (
    Executor,
    InProcess,
    Parts,
    Processes,
    is_unfinished,
    path_of,
    read_part,
    remove,
    work_folder,
    write_part,
)

EXECUTORS = [
    InProcess(),
    Processes(count=1),
    Processes(count=3, ahead=1, threads=1, polite=True),
]
NAMES = ["here", "one", "three"]
each_executor = pytest.mark.parametrize("executor", EXECUTORS, ids=NAMES)


@each_executor
@pytest.mark.parametrize("ordered", [True, False])
def test_results_do_not_depend_on_the_executor(executor: Executor, ordered: bool) -> None:
    found = list(executor.run(drawing, CALLS, ordered=ordered))
    indices = [index for index, _ in found]
    assert sorted(indices) == list(range(len(CALLS)))
    if ordered:
        assert indices == sorted(indices)
    for index, result in found:
        a, b = CALLS[index]
        assert (result == np.random.default_rng((a, b)).normal(size=b - a)).all()


def test_calls_are_read_as_they_are_needed() -> None:
    for executor, most in ((InProcess(), 1), (Processes(count=2, ahead=2), 4)):
        read: list[int] = []

        def calls(read: list[int] = read) -> Any:
            for call in CALLS:
                read.append(call[0])
                yield call

        with closing(executor.run(drawing, calls())) as results:
            for done, _ in enumerate(results):
                assert len(read) <= done + most
        assert len(read) == len(CALLS)


def unable(worker: int) -> Callable[[int, int], int]:
    raise errors.InputError(f"worker {worker // 9} cannot start")


@each_executor
def test_errors_of_ours_arrive_as_they_are(executor: Executor) -> None:
    found = []
    with pytest.raises(errors.NotApplicable, match=r"^call 10 … 15$"):  # noqa: PT012
        for each in executor.run(failing, CALLS):
            found.append(each)  # noqa: PERF402 - what came before the error
    assert found == [(0, 0), (1, 5)]
    with pytest.raises(errors.InputError, match=r"^worker 0 cannot start$"):
        list(executor.run(unable, CALLS))


def test_new_interpreters_give_the_same() -> None:
    with pytest.raises(errors.NotApplicable, match=r"^call 10 … 15$"):
        dict(Processes(count=2, fresh=True).run(failing, CALLS))
    found = dict(Processes(count=2, fresh=True, threads=1).run(drawing, CALLS[:3], ordered=False))
    for index, (a, b) in enumerate(CALLS[:3]):
        assert (found[index] == np.random.default_rng((a, b)).normal(size=b - a)).all()


def dying(_worker: int) -> Callable[[int, int], int]:
    def die(a: int, _b: int) -> int:
        if a == 10:
            os._exit(1)
        return a

    return die


def test_one_message_when_a_worker_dies() -> None:
    died = "a worker died, possibly because memory ran out; run the same command again"
    resumes = "; it resumes if it saved finished parts"
    with pytest.raises(errors.ModalgapError) as found:
        list(Processes(count=2, option="jobs").run(dying, CALLS))
    assert str(found.value) == f"{died} with fewer than 2 jobs{resumes}"
    with pytest.raises(errors.ModalgapError) as found:
        list(Processes(count=1).run(dying, CALLS))
    assert str(found.value) == f"{died}{resumes}"


def numbered(worker: int) -> Callable[[int, int], int]:
    def number(_a: int, _b: int) -> int:
        time.sleep(0.05)
        return worker

    return number


def test_each_worker_has_a_number() -> None:
    found = {result for _, result in Processes(count=3).run(numbered, CALLS)}
    assert found <= {0, 1, 2}
    assert len(found) > 1


def process(_worker: int) -> Callable[[int, int], int]:
    def wait(a: int, _b: int) -> int:
        if a:
            time.sleep(600)
        return os.getpid()

    return wait


def test_closing_cancels_what_remains() -> None:
    began = time.monotonic()
    with closing(Processes(count=2).run(process, CALLS)) as results:
        _, worker = next(results)
    assert time.monotonic() - began < 60
    assert not Path(f"/proc/{worker}").exists()


# parts --------------------------------------------------------------------------------------------

PLAN = {"kind": "test", "seed": 0}


def test_parts_resume(tmp_path: Path) -> None:
    folder = path_of(tmp_path / "o.npz")
    assert folder == tmp_path / "o.npz.parts"
    rng = np.random.default_rng(0)
    arrays = {
        "half": rng.normal(size=(3, 4)).astype(np.float16),
        "wide": rng.normal(size=(4, 3)).T,
        "bytes": np.arange(5, dtype=np.uint8),
        "none": np.zeros((0, 2), np.int64),
    }
    with work_folder(folder, PLAN, overwrite=False):
        parts = Parts(folder, "items")
        assert parts.missing(25, 10) == [(0, 10), (10, 20), (20, 25)]
        parts.write((10, 17), arrays, {"failed": [[3, "é"]]})
        Parts(folder, "others").write((0, 25), {})
    assert is_unfinished(folder)
    with work_folder(folder, PLAN, overwrite=False):
        assert parts.spans() == [(10, 17)]
        assert parts.missing(25, 10) == [(0, 10), (17, 25)]
        found = parts.read((10, 17))
        assert found.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found.arrays[name].dtype == array.dtype
            assert (found.arrays[name] == array).all()
        assert found.about == {"failed": [[3, "é"]]}
        assert parts.read((10, 17), ("bytes",)).arrays.keys() == {"bytes"}
    with (
        pytest.raises(errors.InputError, match="seed: 0, now 1"),
        work_folder(folder, {**PLAN, "seed": 1}, overwrite=False),
    ):
        pass
    with work_folder(folder, {**PLAN, "seed": 1}, overwrite=True):
        assert parts.spans() == []
    remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("written", "n", "size", "left"),
    [
        ([], 5, 2, [(0, 2), (2, 4), (4, 5)]),
        ([(2, 4)], 7, 5, [(0, 2), (4, 7)]),
        ([(5, 6), (0, 3)], 7, 1, [(3, 4), (4, 5), (6, 7)]),
        ([(0, 7)], 7, 3, []),
    ],
)
def test_what_is_missing(
    tmp_path: Path, written: list[Any], n: int, size: int, left: list[Any]
) -> None:
    parts = Parts(tmp_path, "items")
    for span in written:
        parts.path(span).touch()
    assert parts.missing(n, size) == left


def test_damaged_and_foreign_parts_are_refused(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.parts", tmp_path / "theirs.parts"
    for folder, seed in ((mine, 0), (theirs, 1)):
        with work_folder(folder, {**PLAN, "seed": seed}, overwrite=False):
            write_part(folder / "a.safetensors", {"x": np.arange(9.0)})
    whole = (mine / "a.safetensors").read_bytes()
    for content in (
        whole[:-1],
        whole[:20],
        b"",
        b"junk" * 9,
        whole.replace(b'"about"', b'"abort"'),
        (theirs / "a.safetensors").read_bytes(),
    ):
        (mine / "a.safetensors").write_bytes(content)
        with pytest.raises(errors.FileError, match=r"a\.safetensors: is damaged; remove .*mine"):
            read_part(mine / "a.safetensors")
    (mine / "b.safetensors").write_bytes(whole)  # a part of this run under another name
    with pytest.raises(errors.FileError, match="is damaged; remove"):
        read_part(mine / "b.safetensors")
    (mine / "a.safetensors").write_bytes(whole)
    assert (read_part(mine / "a.safetensors").arrays["x"] == np.arange(9.0)).all()
    with pytest.raises(errors.FileError, match="is damaged; remove"):
        read_part(mine / "a.safetensors", ("y",))
