"""Every process ends soon after SIGINT or SIGTERM, wherever it waits, and with its launcher."""

from __future__ import annotations

import ast
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trained
from patience import in_full
from work.ending_cases import BUSY, ENDLESS, HERE, RULE, Started, checkpoints, steps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
POOL = """
import sys, time
from pathlib import Path
from modalgap.ending import guard
from modalgap.errors import ModalgapError
from modalgap.work import Pool
import lasting

if __name__ == "__main__":
    guard()
    fresh, case = sys.argv[1] == "fresh", sys.argv[2]
    with Pool(2, lasting.begin, (), "a worker died", fresh=fresh) as pool:
        calls = [pool.submit(lasting.last) for _ in range(4)]
        while not all(call.running() or call.done() for call in calls[:2]):
            time.sleep(0.01)
        if case == "error":
            raise SystemExit(3)
        try:
            calls[0].result()
        except KeyboardInterrupt:
            raise SystemExit(130)
"""
LASTING = """
import time
def begin():
    print("begun", flush=True)
def last():
    print("lasting", flush=True)
    time.sleep(600)
"""


# workers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fork", "fresh"])
def test_workers_end_with_their_pool(
    how: str, start: Callable[..., Started], tmp_path: Path
) -> None:
    (tmp_path / "lasting.py").write_text(LASTING)
    (tmp_path / "pool.py").write_text(POOL)
    cases: dict[str, tuple[Callable[[Started], None], int]] = {
        "error": (lambda _: None, 3),
        "SIGINT": (lambda found: os.killpg(found.child.pid, signal.SIGINT), 130),
        "SIGTERM": (lambda found: found.child.terminate(), -signal.SIGTERM),
        "SIGKILL": (lambda found: found.child.kill(), -signal.SIGKILL),
    }
    running = {name: start(tmp_path / "pool.py", how, name) for name in cases}
    for name, (act, code) in cases.items():
        found = running[name]
        if name != "error":
            found.until(lambda found=found: found.text().count("lasting") == 2)
        act(found)
        assert found.ended() == code, name


def test_a_dead_worker_is_said(start: Callable[..., Started], tmp_path: Path) -> None:
    (tmp_path / "lasting.py").write_text("import os\nbegin = int\ndef last(): os._exit(1)\n")
    (tmp_path / "pool.py").write_text(POOL)
    found = start("-c", f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import lasting
from modalgap.errors import ModalgapError
from modalgap.work import Pool
try:
    with Pool(2, lasting.begin, (), "a worker died") as pool:
        pool.submit(lasting.last).result()
except ModalgapError as error:
    print(error)
""")  # fmt: skip
    assert found.ended() == 0
    assert found.text() == "a worker died\n"


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_that_draws_ends_with_its_parent(
    way: signal.Signals, start: Callable[..., Started]
) -> None:
    found = start("-c", """
import time
from modalgap.data.emoji import svg
from modalgap.data.emoji.packages import Icon
svg.pixels(Icon(style="", name="", codes="", category="", body='<path d="M0 0h9v9z"/>',
                box=(0, 0, 9, 9), turned=(False, False, 0)), 8)
print("drawn", flush=True)
time.sleep(600)
""")  # fmt: skip
    found.until(lambda: "drawn" in found.text())
    assert len(found.processes()) == 2
    found.child.send_signal(way)
    assert found.ended() == -way


DRAWS = ("emoji", "svg.py")  # its child process ends when its input does


def test_all_workers_are_of_the_one_pool() -> None:
    """A pool of another kind would not end with its parent."""
    for path in (HERE.parent / "src").rglob("*.py"):
        if path.parts[-2:] == DRAWS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and path.parts[-2:] != ("work", "pool.py"):
                names = {each.name for each in node.names}
                assert not {"ProcessPoolExecutor", "Process", "Popen"} & names, path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("Pool", "Popen", "ProcessPoolExecutor"), path


# several processes --------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_under_fabric_ends(start: Callable[..., Started], tmp_path: Path) -> None:
    path = trained.write(tmp_path / "c.yaml", **ENDLESS, devices=2, timeout=2)
    folder = tmp_path / "run"
    found = start("-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > 5)
    os.kill(found.rank(1), signal.SIGTERM)  # one is told; all stop at the same step
    assert found.ended() == 130
    (name,) = checkpoints(folder)
    step = int(name[5:14])
    assert step > 5
    assert f"interrupted: the same command resumes after step {step}\n" in found.text()


@in_full
def test_a_missing_process_is_named(start: Callable[..., Started], tmp_path: Path) -> None:
    path = trained.write(tmp_path / "c.yaml", **ENDLESS, devices=2, timeout=2)
    folder = tmp_path / "run"
    found = start("-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > 5)
    os.kill(found.rank(1), signal.SIGSTOP)
    assert found.ended() == 1  # it names the process that does not answer, and ends it
    assert "modalgap: rank 1 of 2 processes: missing" in found.text()
    written = checkpoints(folder)

    before = steps(folder)
    found = start("-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > before + 5)
    os.kill(found.rank(1), signal.SIGKILL)
    assert found.ended() == 2
    assert "modalgap: rank 1 of 2 processes: missing (" in found.text()
    assert checkpoints(folder) == written


@pytest.mark.slow
def test_training_under_torchrun_ends_with_it(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    path = trained.write(tmp_path / "c.yaml", **ENDLESS, devices=2)
    folder = tmp_path / "run"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    found = start(*torchrun, "-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > 5)
    other = found.rank(1)
    os.kill(other, signal.SIGSTOP)  # so that the first one waits in a collective
    time.sleep(0.5)
    found.child.kill()
    end = time.monotonic() + RULE * BUSY
    while len(found.processes()) > 1 and time.monotonic() < end:
        time.sleep(0.02)
    assert list(found.processes()) == [other], "the first process must end in the collective"
    assert "did not stop within 7 s of SIGTERM; ended" in found.text()
    os.kill(other, signal.SIGCONT)
    assert found.ended() == -signal.SIGKILL
