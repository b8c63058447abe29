"""Every process ends soon after SIGINT or SIGTERM, wherever it waits, and with its launcher."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trained
from invert.cases import looks, small_model
from patience import in_full
from work.ending_cases import BUSY, ENDLESS, HERE, RULE, Started, checkpoints, steps

import modalgap as mg
from modalgap import ending
from modalgap.encode import load_model
from modalgap.train import load_config
from modalgap.work import pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
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


# one process --------------------------------------------------------------------------------------


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


ENCODE = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
import functions
from pathlib import Path
from modalgap.encode import Options, run
from modalgap.encode.engine import batches
from modalgap.__main__ import guard
guard()
real = batches.Batches.batch
def batch(self, number):
    print("batch", flush=True)
    time.sleep(0.0 if number < 4 else 600)
    return real(self, number)
batches.Batches.batch = batch
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


# verbs --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_encode_and_mad_end_and_keep_what_is_finished(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    from encode.cases import folder_of

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


@in_full
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
