"""``on`` chooses where the work runs, and closes what it started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import CALLS, drawing, failing
from commands import Run
from work.ray_cases import SPANS, Sums, Unknown, dying, odd, plain

from modalgap import errors
from modalgap.work import Executor, InProcess, Processes, Setup, executor, on, processors, ray
from modalgap.work import executors as module


def test_here_is_the_default() -> None:
    assert isinstance(executor(), InProcess)
    assert (executor().count, executor().local) == (1, True)
    with on("here") as made:
        assert executor() is made
        assert made.local


@pytest.mark.parametrize(
    "where",
    ["", "there", "processes", "processes:0", "processes:two", "processes:1025", "processes:²",
     "ray:", "ray://", "ray://a b", "ray://host:port", "Ray", 3, None],
)  # fmt: skip
def test_unknown_places_are_refused(where: Any) -> None:
    with pytest.raises(errors.OptionError, match=r"^on must be here, processes:N, ray") as found:  # noqa: SIM117
        with on(where):
            raise AssertionError
    assert str(found.value).endswith(f"got {where!r}")


class Backwards:
    """An executor of a user."""

    count, local = 1, True

    def run(
        self, setup: Setup[Any], calls: Iterable[tuple[Any, ...]], *, ordered: bool = True
    ) -> Generator[tuple[int, Any]]:
        results = [(i, setup(0)(*each)) for i, each in enumerate(calls)]
        yield from results if ordered else reversed(results)


def test_an_executor_of_ones_own() -> None:
    own: Executor = Backwards()
    with on(own):
        assert executor() is own
        with on("here"):
            assert executor() is not own
        assert executor() is own
    assert executor() is not own


def test_processes_are_kept_between_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    marks = [tmp_path / name for name in ("first", "second")]
    for mark in marks:
        mark.mkdir()
    with on("processes:2") as made:
        assert made.count == 2
        assert not made.local
        assert isinstance(made, Processes)
        assert made.threads == max(1, processors() // 2)
        first = list(executor().run(Sums(marks[0]), SPANS))
        second = list(executor().run(Sums(marks[1]), SPANS, ordered=False))
        with pytest.raises(errors.NotApplicable, match=r"^call 10 … 15$"):
            list(executor().run(failing, CALLS))
        third = dict(executor().run(drawing, CALLS))  # in new processes
        began = time.monotonic()
        assert list(executor().run(drawing, [])) == []
        assert time.monotonic() - began < 1
    processes = {each["process"] for _, each in first}
    both = processes | {each["process"] for _, each in second}
    assert len(both) <= 2  # on a busy machine one of the two may do a whole run
    assert os.getpid() not in processes
    for folder in marks:  # a setup per process and run
        assert 1 <= len(Sums(folder).setups()) <= 2
    here = plain(InProcess().run(Sums(tmp_path), SPANS))
    assert plain(first) == plain(sorted(second, key=lambda each: each[0])) == here
    for index, call in enumerate(CALLS):
        np.testing.assert_array_equal(third[index], drawing(0)(*call))
    assert not [each for each in both if Path(f"/proc/{each}").exists()]
    assert not list(tmp_path.glob("modalgap-*"))
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("modalgap: process ") for line in lines)


def test_work_that_cannot_be_pickled() -> None:
    with (
        on("processes:2"),
        pytest.raises(errors.ModalgapError, match=r"^the work must be picklable .*lambda"),
    ):
        list(executor().run(lambda _: max, CALLS))


def test_a_dead_process_is_said() -> None:
    with (
        pytest.raises(
            errors.ModalgapError, match=r"^a worker died, .* with fewer than 2 processes"
        ),
        on("processes:2"),
    ):
        list(executor().run(dying, CALLS))
    assert executor().local


def test_the_command_line(run: Run, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 30, 4))
    np.save(tmp_path / "pair.npy", rows)
    same = [run("measure", tmp_path / "pair.npy", "--json", *more)
            for more in ([], ["--on", "here"], ["--on", "processes:2"])]  # fmt: skip
    assert [code for code, _, _ in same] == [0, 0, 0]
    assert len({out for _, out, _ in same}) == 1
    for command in (
        ["measure", "x.npy"], ["evaluate", "x.npy"], ["close", "shift", "x.npy"],
        ["close", "fit", "shift", "x.npy"], ["close", "fit", "zscore", "x.npy"],
        ["close", "apply", "m", "x.npy"], ["search", "x.npy", "--query", "y.npy"],
        ["encode", "x", "-m", "m", "-o", "y.npz"], ["invert", "oti", "x.npz", "-o", "y"],
        ["invert", "curve", "oti", "x.npz", "--query", "y.npz", "-m", "m", "-o", "z"],
        ["zoo", "-o", "z"], ["study", "imbalance"], ["study", "all", "-o", "z"],
        ["report", "x.npy"], ["preflight", "x.npy"], ["compare", "x.npy"], ["explore", "x.npy"],
    ):  # fmt: skip
        code, out, err = run(*command, "--on", "there")
        assert (code, out) == (2, ""), command
        assert err.startswith("modalgap: on must be here, processes:N, ray"), command
        assert err.count("\n") == 1


def test_errors_that_cannot_be_sent() -> None:
    with on("processes:1"):
        with pytest.raises(RuntimeError, match=r"^Odd: row 3: is odd$"):
            list(executor().run(odd, CALLS))
        unknown: Any = Unknown()
        with pytest.raises(errors.ModalgapError, match=r"cannot be loaded .*missing"):
            list(executor().run(unknown, CALLS))


def test_ctrl_c_waits_until_ray_has_started() -> None:
    reached = []

    def start() -> None:
        with ray._uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached
