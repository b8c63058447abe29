"""Training: what it gives, and that nothing is lost or changed by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trained
from patience import LIMIT, in_full, until
from safetensors import SafetensorError
from trained import command, config, losses, write

import modalgap as mg
from modalgap.errors import Diverged, FileError, OutputError
from modalgap.train import Run, load_config, read_run, train
from modalgap.train import checkpoint as checkpoints
from modalgap.train.log import read_log


def wait_for(folder: Path, step: int, child: subprocess.Popen[str]) -> None:
    until(lambda: any(line["step"] >= step for line in read_log(folder)), child)


def newest(folder: Path) -> str:
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*"))[-1]


# kills --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_curve(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"steps": 40, "checkpoint": {"every": 5}}
    whole = train(config(**changes), tmp_path / "whole")
    path = write(tmp_path / "c.yaml", **changes)
    folder = tmp_path / "killed"
    child = command("train", path, "-o", folder)
    wait_for(folder, 12, child)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL, "it must be killed before it is done"
    child = command("train", path, "-o", folder)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 0, err
    assert "resumed from step" in err
    assert losses(folder) == losses(whole.folder)
    ours, theirs = (
        [line for line in read_log(each) if "held_out" in line] for each in (folder, whole.folder)
    )
    assert ours == theirs
    name = "open_clip_model.safetensors"
    assert (folder / "model" / name).read_bytes() == (whole.model / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT])  # SIGTERM goes the same way
def test_interrupted_it_leaves_a_checkpoint(tmp_path: Path, kind: signal.Signals) -> None:
    changes: dict[str, Any] = {"steps": 3000, "checkpoint": {"every": 3000}}
    changes["watch"] = {"measure": 0}
    path = write(tmp_path / "c.yaml", **changes)
    folder = tmp_path / "run"
    child = command("train", path, "-o", folder)
    wait_for(folder, 5, child)
    child.send_signal(kind)
    out, err = child.communicate(timeout=LIMIT)
    assert child.returncode in (130, 143), (out, err)
    assert "Traceback" not in err
    done = int(newest(folder)[5:14])
    assert 5 <= done < 3000
    assert losses(folder)[-1][0] <= done


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    whole = train(config(), folder)
    expected, last = losses(folder), whole.last
    files = sorted((folder / "checkpoints").glob("step-*"))
    assert [path.name for path in files] == [f"step-{n:09d}.safetensors" for n in (8, 12)]
    for damage in (b"", files[-1].read_bytes()[:-100], b"\0" * 500):
        files[-1].write_bytes(damage)
        again = train(config(), folder)
        assert any("is damaged" in remark for remark in again.remarks)
        assert "resumed from step 8 of 12" in again.remarks
        assert losses(folder) == expected
        assert again.last == last
    flipped = bytearray(files[-1].read_bytes())
    flipped[-5] ^= 1
    files[-1].write_bytes(flipped)
    assert "resumed from step 8 of 12" in train(config(), folder).remarks


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path) -> None:
    one = train(config(steps=4), tmp_path / "one")
    train(config(steps=4, seed=1), tmp_path / "two")
    name = "checkpoints/step-000000004.safetensors"
    (tmp_path / "two" / name).write_bytes((one.folder / name).read_bytes())
    again = train(config(steps=4, seed=1), tmp_path / "two")
    assert any("belongs to another run" in remark for remark in again.remarks)
    assert losses(again.folder) != losses(one.folder)


def test_with_one_checkpoint_kept_damage_is_what_goes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made = config(checkpoint={"every": 4, "keep": 1})
    train(made, folder)
    (folder / "checkpoints" / "step-000000099.safetensors").write_bytes(b"junk")
    (folder / "checkpoints" / "step-000000012.safetensors").write_bytes(b"junk")
    train(made, folder)
    files = [path.name for path in (folder / "checkpoints").glob("step-*")]
    assert files == ["step-000000012.safetensors"]
    assert not train(made, folder).remarks[1:]


def test_a_run_begun_anew_has_no_old_model(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(config(steps=4), folder)
    with pytest.raises(Diverged):
        train(config(steps=4, optimiser={"lr": 1e29, "warmup": 0}), folder, overwrite=True)
    with pytest.raises(FileError, match="must hold a finished run"):
        read_run(folder)


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff\xfe", b'{"step": -1, "loss": 1.0}\n', b'{"step": 4, "held_out": "x"}\n',
     b'{"step": 4, "held_out": {"l2m": 1.0}}\n', b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_log_is_said(damage: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(config(steps=4), folder)
    (folder / "log.jsonl").write_bytes(damage)
    found = read_run(folder)
    assert found.steps == 4
    assert found.last == {}
    assert "lacks its last lines" in found.remarks[0]


def test_the_last_measurement_leaves_its_embeddings(finished: Run) -> None:
    pair = mg.load(finished.folder / "held_out.safetensors")
    assert mg.measure(pair, "rmg")["rmg"].value == pytest.approx(finished.last["rmg"], abs=1e-6)


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    real, calls = checkpoints.save_file, []

    def full(tensors: Any, path: Any, said: Any) -> None:
        calls.append(path)
        if len(calls) > 1:
            Path(path).write_bytes(b"half")
            raise SafetensorError("No space left on device (os error 28)")
        real(tensors, path, said)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OutputError, match=r"cannot be written .*No space left"):
        train(config(), folder)
    assert newest(folder) == "step-000000004.safetensors"
    assert not list((folder / "checkpoints").glob(".modalgap-*"))
    monkeypatch.undo()
    assert "resumed from step 4 of 12" in train(config(), folder).remarks


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wild = config(optimiser={"lr": 1e29, "warmup": 0, "weight_decay": 0.0})
    with pytest.raises(Diverged, match=r"step \d+ (is (nan|inf)|the features are NaN or infinite)"):
        train(wild, folder)
    assert not any(np.isnan(loss) for _, loss in losses(folder))


def test_the_checkpoint_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modalgap.losses import Objective

    real, calls = Objective.__call__, []

    def spoilt(self: Any, features: Any) -> Any:
        calls.append(1)
        total, parts = real(self, features)
        return (total * float("nan") if len(calls) == 7 else total), parts

    monkeypatch.setattr(Objective, "__call__", spoilt)
    with pytest.raises(Diverged, match="the loss of step 7 is nan; checkpoint 4 remains"):
        train(config(), tmp_path / "run")
    assert newest(tmp_path / "run") == "step-000000004.safetensors"


# several processes --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [pytest.param("fabric", marks=in_full), "torchrun"])
def test_two_processes_give_the_curve_of_one(launcher: str, tmp_path: Path) -> None:
    """The same global batch, whoever starts the processes; with views, and in parts."""
    changes: dict[str, Any] = {"steps": 15, "losses": {"infonce": 1, "intra_simclr": 0.5}}
    one = train(config(**changes), tmp_path / "one")
    extra = {"accumulate": 2} if launcher == "torchrun" else {}
    path = write(tmp_path / "c.yaml", **changes, devices=2, **extra)
    folder = tmp_path / "two"
    if launcher == "fabric":
        arguments = [sys.executable, "-m", "modalgap"]
    else:
        arguments = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                     "--nproc-per-node", "2", "-m", "modalgap"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*arguments, "train", str(path), "-o", str(folder)],
        capture_output=True, text=True, timeout=LIMIT, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    a, b = np.array(losses(one.folder)), np.array(losses(folder))
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.ptp(a[:, 1]) > 0.05, "the curve must move, or nothing is tested"
    assert read_run(folder).last["rmg"] == pytest.approx(one.last["rmg"], abs=1e-3)


assert load_config(trained.TINY)
