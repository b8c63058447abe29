"""Every process ends soon after SIGINT or SIGTERM, wherever it waits, and with its launcher."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trained
from invert.test_invert import looks, small_model

import modalgap as mg
from modalgap import ending
from modalgap.encode import load_model
from modalgap.train import load_config
from modalgap.train.log import read_log
from modalgap.work import pool

HERE = Path(__file__).parents[1]
RULE = 10.0  # seconds
BUSY = 3.0  # times as long, on a machine that does something else
MARK = "MODALGAP_TESTED"
BEGIN = 120.0  # seconds that a start may take

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Started:
    """A command whose environment marks each process that it starts."""

    def __init__(self, arguments: list[object], output: Path) -> None:
        self.said = output
        with output.open("w") as file:
            self.child = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=file, stderr=file, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", MARK: str(output)},
            )  # fmt: skip

    def processes(self) -> dict[int, dict[str, str]]:
        """Process to its environment."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                pairs = (path / "environ").read_text().split("\0")
            except OSError:  # it has ended
                continue
            environment = dict(each.split("=", 1) for each in pairs if "=" in each)
            if environment.get(MARK) == str(self.said):
                found[int(path.name)] = environment
        return found

    def rank(self, rank: int) -> int:
        """The process of that rank."""
        (found,) = (
            process
            for process, environment in self.processes().items()
            if environment.get("LOCAL_RANK", "") == str(rank)
        )
        return found

    def text(self) -> str:
        return self.said.read_text()

    def until(self, there: Callable[[], object]) -> None:
        """Wait for something to happen."""
        end = time.monotonic() + BEGIN
        while not there():
            assert self.child.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def ended(self) -> int:
        """The exit code, once no process is left: within the rule."""
        end = time.monotonic() + RULE * BUSY
        while self.child.poll() is None or self.processes():
            assert time.monotonic() < end, (self.processes().keys(), self.text())
            time.sleep(0.02)
        assert "Traceback" not in self.text()
        return self.child.returncode

    def close(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.child.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """start("-m", "modalgap", ...): it and all that it starts is gone after the test."""
    made: list[Started] = []

    def start(*arguments: object) -> Started:
        made.append(Started(list(arguments), tmp_path / f"said {len(made)}"))
        return made[-1]

    yield start
    for each in made:
        each.close()


# one process --------------------------------------------------------------------------------------

STUCK = """
import ctypes, sys
from modalgap import ending
ending.LIMIT = 0.3
ending.guard()
libc, mutex = ctypes.CDLL(None), (ctypes.c_char * 256)()
libc.pthread_mutex_lock(mutex)
print("stuck", flush=True)
libc.pthread_mutex_lock(mutex)  # for ever, and no signal handler of Python runs
"""


def test_the_limits_keep_the_rule() -> None:
    assert ending.GRACE < ending.LIMIT < RULE - 2
    assert pool.PATIENCE + pool.JOIN < ending.LIMIT
    assert ending.GRACE < pool.PATIENCE


def test_a_process_that_waits_in_a_library_ends(start: Callable[..., Started]) -> None:
    for kind in (signal.SIGINT, signal.SIGTERM):
        found = start("-c", f"import signal; signal.signal({int(kind)}, print)\n{STUCK}")
        found.until(lambda found=found: "stuck" in found.text())
        found.child.send_signal(kind)
        assert found.ended() == 128 + kind
        assert f"modalgap: did not stop within 0.3 s of {kind.name}; ended\n" in found.text()


def test_a_guard_that_is_left_lets_the_process_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "LIMIT", 0.2)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with ending.guarded():
            with ending.guarded():  # the outer one stays
                pass
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)  # longer than the limit
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)


def test_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "GRACE", 0.1)
    handlers = [signal.getsignal(each) for each in ending.ENDING]

    def send(*kinds: signal.Signals) -> None:
        for kind in kinds:
            os.kill(os.getpid(), kind)

    def sleep(kind: signal.Signals) -> None:
        send(kind)
        time.sleep(RULE * BUSY)

    with ending.Patience() as patience:  # a launcher passes SIGTERM on
        assert not patience.stopping
        send(signal.SIGINT, signal.SIGTERM)
        assert patience.stopping
        patience.hold()
        time.sleep(0.3)  # saving takes longer than the grace
    with pytest.raises(KeyboardInterrupt), ending.Patience():
        send(signal.SIGTERM, signal.SIGINT)
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ending.Patience():  # the step does not end
        sleep(signal.SIGTERM)
    assert time.monotonic() - before < RULE
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ending.Patience() as patience:  # as in nohup or a worker
        send(signal.SIGINT)
        assert not patience.stopping
    signal.signal(signal.SIGINT, handlers[0])
    assert [signal.getsignal(each) for each in ending.ENDING] == handlers


def test_delayed() -> None:
    done = []

    def body() -> None:
        with ending.delayed():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending.ENDING)  # as in another thread
            done.append("to the end")

    with pytest.raises(KeyboardInterrupt):
        body()
    assert done == ["to the end"]


# workers ------------------------------------------------------------------------------------------

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


def test_all_workers_are_of_the_one_pool() -> None:
    """A pool of another kind would not end with its parent."""
    for path in (HERE.parent / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and path.parts[-2:] != ("work", "pool.py"):
                names = {each.name for each in node.names}
                assert not {"ProcessPoolExecutor", "Process", "Popen"} & names, path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("Pool", "Popen", "ProcessPoolExecutor"), path


# verbs --------------------------------------------------------------------------------------------

ENCODE = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
import functions
from pathlib import Path
from modalgap.encode import Options, run
from modalgap.encode.engine import batches
from modalgap.__main__ import guard
guard()
real = batches._Batches.batch
def batch(self, number):
    print("batch", flush=True)
    time.sleep(0.0 if number < 4 else 600)
    return real(self, number)
batches._Batches.batch = batch
from modalgap.encode.engine import parts
parts.PATIENCE = 0.0
try:
    run(Path(sys.argv[1]), functions.encoder(), sys.argv[2], Options(batch_size=2, workers=2))
except KeyboardInterrupt:
    sys.exit(130)
"""
MAD = """
import sys, time
from pathlib import Path
from modalgap.data.mad import build, digits, morphology, store
from modalgap.__main__ import guard
guard()
store.BLOCK = 8
real, calls = morphology.vary_all, []
def vary_all(*arguments):
    calls.append(0)
    time.sleep(0.0 if len(calls) < 3 else 600)
    return real(*arguments)
morphology.vary_all = vary_all
build(digits(limit=160), Path(sys.argv[1]), workers=2)
"""


@pytest.mark.slow
def test_encode_and_mad_end_and_keep_what_is_finished(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    from encode.test_encode import folder_of

    source, output = folder_of(tmp_path / "d", 30), tmp_path / "o.safetensors"
    encode = start("-c", ENCODE, source, output)
    mad = start("-c", MAD, tmp_path / "m")
    for found, name, kind in (
        (encode, "o.safetensors.parts", signal.SIGINT),
        (mad, "m.parts", signal.SIGTERM),
    ):
        parts = tmp_path / name
        found.until(lambda parts=parts: len(list(parts.glob("*.safetensors"))) > 1)
        os.killpg(found.child.pid, kind)
        assert found.ended() in (130, -signal.SIGTERM)
        assert len(list(parts.glob("*.safetensors"))) > 1


@pytest.mark.slow
def test_invert_ends(start: Callable[..., Started], tmp_path: Path) -> None:
    spec = small_model(tmp_path)
    mg.save(looks(load_model(spec)).image, tmp_path / "i.safetensors")
    found = start(
        "-m", "modalgap", "invert", "oti", tmp_path / "i.safetensors", "-m", spec, "--jobs", 2,
        "--set", f"steps={10**6}", "--batch-size", 4, "-o", tmp_path / "o.safetensors",
    )  # fmt: skip
    found.until(lambda: len(found.processes()) > 3)  # with the tracker of resources
    os.killpg(found.child.pid, signal.SIGINT)
    assert found.ended() == 130
    assert (tmp_path / "o.safetensors.parts" / "plan.json").is_file()


def steps(folder: Path) -> int:
    return max((line["step"] for line in read_log(folder)), default=0)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*"))


ENDLESS: dict[str, Any] = {
    "steps": 10**6, "checkpoint": {"every": 10**6}, "watch": {"measure": 0},
}  # fmt: skip


@pytest.mark.slow
def test_a_study_ends_and_keeps_checkpoints(start: Callable[..., Started], tmp_path: Path) -> None:
    made = load_config(trained.config(**ENDLESS)).plain()
    (tmp_path / "study.py").write_text(f"""
from pathlib import Path
from modalgap.ending import guard
from modalgap.study.training import train_all
from modalgap.train import load_config
if __name__ == "__main__":
    guard()
    made = load_config({made!r})
    try:
        train_all({{"a": made, "b": made}}, Path({str(tmp_path)!r}), jobs=2)
    except KeyboardInterrupt:
        raise SystemExit(130)
""")
    for kind, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before = {name: steps(tmp_path / name) for name in "ab"}
        found = start(tmp_path / "study.py")
        found.until(lambda before=before: all(steps(tmp_path / n) > before[n] + 5 for n in "ab"))
        found.child.send_signal(kind)
        assert found.ended() == code
        assert all(len(checkpoints(tmp_path / name)) == 1 for name in "ab")


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

    found = start("-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > step + 5)
    os.kill(found.rank(1), signal.SIGSTOP)
    assert found.ended() == 1  # it names the process that does not answer, and ends it
    assert "modalgap: rank 1 of 2 processes: missing" in found.text()

    before = steps(folder)
    found = start("-m", "modalgap", "train", path, "-o", folder)
    found.until(lambda: steps(folder) > before + 5)
    os.kill(found.rank(1), signal.SIGKILL)
    assert found.ended() == 2
    assert "modalgap: rank 1 of 2 processes: missing (" in found.text()
    assert checkpoints(folder) == [name]


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
