"""The Ray executor, on a real cluster of two nodes with one CPU each."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from calls import CALLS, drawing, failing
from work.ray_cases import SPANS, OnGpu, Sums, plain, waiting

from modalgap import errors
from modalgap.work import InProcess, Ray, executor, on
from modalgap.work import crew as crews
from modalgap.work.account import Account
from modalgap.work.ray import Worker
from modalgap.work.versions import Versions

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    # Ray's own sockets and files, when a cluster is made and ended in this process
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def until(there: Callable[[], object]) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def released(ray: Ray) -> None:
    """End its workers, so that others find free CPUs; the next run starts them again."""
    assert ray._crew is not None
    ray._crew.end()


def test_same_bits_here_and_on_ray(ray: Ray, tmp_path: Path) -> None:
    job = Sums(tmp_path)
    found = list(ray.run(job, SPANS))
    assert plain(found) == plain(InProcess().run(job, SPANS))
    assert ray.count == 2
    assert not ray.local
    assert len({each["process"] for _, each in found}) == 2


@pytest.mark.parametrize("ordered", [True, False])
def test_order(ray: Ray, ordered: bool) -> None:
    read = []

    def calls() -> Iterator[tuple[int, int]]:
        for call in CALLS * 3:
            read.append(call)
            yield call

    indices = []
    for index, result in ray.run(drawing, calls(), ordered=ordered):
        indices.append(index)
        np.testing.assert_array_equal(result, drawing(0)(*(CALLS * 3)[index]))
        result += 1  # belongs to the caller
        assert len(read) <= len(indices) + crews.AHEAD * ray.count
    assert sorted(indices) == list(range(len(CALLS) * 3))
    if ordered:
        assert indices == sorted(indices)
    assert list(ray.run(drawing, [])) == []


def test_setup_once_per_worker(ray: Ray, tmp_path: Path) -> None:
    job = Sums(tmp_path)
    list(ray.run(job, SPANS))
    setups = job.setups()
    assert [name.split()[1] for name in setups] == ["0", "1"]
    list(ray.run(job, SPANS))
    assert len(job.setups()) == 2  # the same processes


def test_errors_of_ours_arrive_as_they_are(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.NotApplicable) as found:
        list(ray.run(failing, CALLS))
    assert str(found.value) == "call 10 … 15"

    def unable(_worker: int) -> Any:
        raise errors.FileError("x.npy: cannot be read")

    with pytest.raises(errors.FileError, match=r"^x\.npy: cannot be read$"):
        list(ray.run(unable, CALLS))

    def elsewhere(_worker: int) -> Any:
        return only_here.number

    only_here = ModuleType("only_here")
    only_here.number = drawing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    with pytest.raises(errors.ModalgapError, match=r"^a Ray worker cannot .*'only_here'"):
        list(ray.run(elsewhere, CALLS))

    def wrong(_worker: int) -> Any:
        return lambda a, _b: 1 // (a - 10)

    with pytest.raises(ZeroDivisionError):  # a mistake in the code stays one
        list(ray.run(wrong, CALLS))


def test_a_killed_worker(ray: Ray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Sums(tmp_path, ends=SPANS[5][0], times=2)
    again, calls = ray.account.again, ray.account.calls.total()
    found = list(ray.run(job, SPANS))
    assert ray.account.calls.total() == calls + len(SPANS)
    assert plain(found) == plain(list(InProcess().run(Sums(tmp_path), SPANS)))
    assert len(list(tmp_path.glob("died *"))) == 2
    assert len(job.setups()) >= 3  # the state of an actor is made again
    assert ray.account.again == again + 2
    assert capsys.readouterr().out == ""  # stdout is for results


def test_a_call_that_kills_its_worker_ends_the_run(
    ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "DEATHS", 1)
    job = Sums(tmp_path, ends=SPANS[5][0], times=100)
    with pytest.raises(errors.ModalgapError, match="workers died 1 times in the same call") as why:
        list(ray.run(job, SPANS))
    assert "\n" not in str(why.value)


def test_closing_ends_what_runs(ray: Ray, tmp_path: Path) -> None:
    with closing(ray.run(waiting(tmp_path), ((i,) for i in range(9)))) as results:
        next(results)
        next(results)
        until(lambda: any(tmp_path.glob("call [2-9]")))
    running = [int(each.read_text()) for each in tmp_path.glob("call [2-9]")]
    assert len(running) < 3
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in running))
    assert len(list(ray.run(drawing, CALLS))) == len(CALLS)


def test_gpus(ray: Ray) -> None:
    job = OnGpu()
    assert [each for _, each in ray.run(job, [()] * 4)] == ["0"] * 4
    assert ray._crew is not None
    assert len(ray._crew._workers) == 1  # as many as GPUs
    found = {each for _, each in ray.run(job.__call__, [()] * 4)}
    assert "0" not in found


def test_versions(ray: Ray, capsys: pytest.CaptureFixture[str]) -> None:
    crew = ray._crew
    assert crew is not None
    ours = crew._versions

    def greet(**other: str) -> None:
        """Each worker is compared again."""
        assert crew is not None
        crew._versions = replace(ours, **other)
        for worker in crew._workers.values():
            worker.hello = worker.actor.hello.remote()

    try:
        greet(modalgap="0.0.1")
        with pytest.raises(errors.ModalgapError, match=r"^node [\d.]+ has modalgap .*0\.0\.1"):
            list(ray.run(drawing, CALLS))
        greet(torch="1.0", processor="x86_64 slow")
        capsys.readouterr()
        assert len(list(ray.run(drawing, CALLS))) == len(CALLS)
    finally:
        greet()
    said = capsys.readouterr().err
    assert said.count("\n") == 1  # for two workers
    assert "has torch" in said
    assert "here 1.0; processor" in said
    assert said.endswith("results agree within 1e-10, not bit for bit\n")


def test_a_worker_without_this_modalgap(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    released(ray)

    class Newer(Worker):
        pass

    there = ModuleType("modalgap.newer")
    there.Newer = Newer  # type: ignore[attr-defined]
    Newer.__module__, Newer.__qualname__ = "modalgap.newer", "Newer"
    monkeypatch.setitem(sys.modules, "modalgap.newer", there)
    crew = crews.Crew(ray._open(), Newer, 0.0, Account())
    try:
        with pytest.raises(errors.ModalgapError, match=r"^a node of the Ray cluster has no modalg"):
            list(crew.run(drawing, CALLS, ordered=True))
    finally:
        crew.end()


def test_versions_are_compared() -> None:
    here = Versions.here()
    assert here == Versions.here()
    assert here.check(here, "node a") is None
    assert "python 3.0, here 3." in str(here.check(replace(here, python="3.0"), "node a"))


class Counted:
    def items_of(self, items: int) -> int:
        return items


def test_on_tells_what_was_done(ray: Ray, capsys: pytest.CaptureFixture[str]) -> None:
    with on("ray") as made:
        assert isinstance(made, Ray)
        assert executor() is made
        assert made.count == 2  # connects
        list(made.account.counted(Counted(), [(100,), (3000,), (150,)]))
        made.account.add("node 10.0.0.5", 0.25, 0)
        made.account.add("node 10.0.0.7", 1.5, 1)
        made.account.add("node 10.0.0.5", 1, 2)
        made.account.again = 2
    assert executor().local
    assert capsys.readouterr().err.splitlines() == [
        "modalgap: node 10.0.0.5: 2 of 3 parts of the work, 1.2 s, 200 items/s per worker",
        "modalgap: node 10.0.0.7: 1 of 3 parts of the work, 1.5 s, 2,000 items/s per worker",
        "modalgap: 2 parts were computed again because a worker died",
    ]


def test_on_tells_that_nothing_was_divided(capsys: pytest.CaptureFixture[str]) -> None:
    with on("processes:2"):
        pass
    note = "modalgap: no work was divided: all of it ran in this process\n"
    assert capsys.readouterr().err == note


CLIENT = """
import sys
from work.ray_cases import SPANS, Sums, plain
from pathlib import Path
from types import ModuleType
from calls import CALLS, failing
from modalgap.errors import NotApplicable
from modalgap.work import InProcess, on
job = Sums(Path(sys.argv[2]))
here = plain(InProcess().run(job, SPANS))
with on(sys.argv[1]) as made:
    assert plain(made.run(job, SPANS)) == here
    try:
        list(made.run(failing, CALLS))
    except NotApplicable as error:
        print(error)
"""


def test_client(cluster: Any, ray: Ray, tmp_path: Path) -> None:
    released(ray)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, cluster.client, tmp_path],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "call 10 … 15\n"
    assert done.stderr.splitlines()[-1].startswith("modalgap: node ")  # it may say that it waited


@pytest.mark.parametrize("port", [":1", ""])
def test_an_address_at_which_nothing_answers(port: str) -> None:
    began = time.monotonic()
    with (
        pytest.raises(errors.ModalgapError, match=r"^ray://127\.0\.0\.1.*: no Ray cluster answers"),
        on(f"ray://127.0.0.1{port}") as made,
    ):
        list(made.run(drawing, CALLS))
    assert time.monotonic() - began < 30


def test_a_removed_node(cluster: Any, ray: Ray, tmp_path: Path) -> None:
    node = next(iter(cluster.worker_nodes))

    def remove() -> None:
        until(lambda: len(list(tmp_path.glob("call [2-9]"))) == 2)
        running = [Path("/proc") / each.read_text() for each in tmp_path.glob("call [2-9]")]
        cluster.remove_node(node, allow_graceful=False)
        until(lambda: not all(each.exists() for each in running))
        (tmp_path / "go").touch()

    # the last test: the cluster keeps one node
    list(ray.run(drawing, CALLS))
    again = ray.account.again
    remover = threading.Thread(target=remove)
    remover.start()
    found = list(ray.run(waiting(tmp_path), ((i,) for i in range(9))))
    remover.join()
    assert [index for index, _ in found] == list(range(9))
    assert ray.account.again == again + 1
