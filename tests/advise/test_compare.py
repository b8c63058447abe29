"""Preflight and compare: fitted on one part, judged on another; verdicts that the data deserves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advise.cases import Floats, lopsided, small
from patience import in_full, until

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import Candidate, halves
from modalgap.close import correct


def test_numbers_are_those_of_evaluate() -> None:
    pair = small(80)
    board = mg.compare(pair, ["center", "nnn", "shift:alpha=0.5", "retrieval"], seed=1)
    first, second = halves(pair, 0.5, seed=1)
    judged = mg.close.fit(first, "center").apply(second)
    found = mg.evaluate(judged, "retrieval", seed=1)
    base = mg.evaluate(second, "retrieval", seed=1)
    for name, value in found.items():
        ours = board["center"].values[name]
        assert ours.value == value.value
        assert ours.interval == pytest.approx(value.interval)
        assert board["center"].differences[name].value == pytest.approx(
            value.value - base[name].value
        )
    assert list(board.entries) == ["none", "center", "nnn", "shift:alpha=0.5"]
    assert board["center"].gap["l2m"] == pytest.approx(mg.measure(judged, only="l2m")["l2m"].value)
    scores = correct(second.image, first.text, "nnn")(second.text)
    top = float((scores.argmax(1) == torch.arange(second.image.n)).double().mean())
    assert board["nnn"].values["retrieval.text_to_image_r1"].value == pytest.approx(top)


def test_paired_difference_by_hand() -> None:
    board = mg.compare(small(80), ["center", "retrieval"], seed=4)
    first, second = halves(small(80), 0.5, seed=4)
    name = "image_to_text_r1"
    before = mg.evaluate.retrieval(second).scores[name].values
    after = mg.evaluate.retrieval(mg.close.fit(first, "center").apply(second)).scores[name].values
    random = np.random.default_rng(4)
    n = len(before)
    draws = [(after - before)[random.integers(0, n, n)].mean() for _ in range(1000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert board["center"].differences[f"retrieval.{name}"].interval == pytest.approx((low, high))


def test_every_way_by_default(coco: Floats) -> None:
    pair = mg.Pair(coco[0, :120], coco[1, :120])
    board = mg.compare(pair, only=["retrieval", "clustering"])
    known = {name.partition(":")[0] for name in board.entries} | set(board.failed)
    assert known == (set(mg.close.CLOSERS) - {"isoclip"}) | set(mg.close.CORRECTIONS)
    assert not board.failed
    assert {name for name, entry in board.entries.items() if entry.transductive} == {
        "noise", "transport", "spectral",
    }  # fmt: skip
    told = json.loads(board.to_json())
    assert told["split"] == board.split
    assert told["entries"]["nnn"]["skipped"].keys() == {"clustering"}
    assert len(board.curves["shift"]) == 9
    zero = next(point for point in board.curves["shift"] if point["alpha"] == 0)
    assert zero["image_to_text_r1"] == board["none"].values["retrieval.image_to_text_r1"].value
    gaps = [point["l2m"] for point in board.curves["shift"]]
    assert gaps.index(min(gaps)) == 6  # alpha = 1
    assert "center" in str(board)


def test_labels() -> None:
    board = mg.compare(lopsided(), ["center"], seed=0)
    assert "zero_shot.top1" in board.columns
    assert "retrieval" in board["none"].skipped
    assert board["center"].verdict("zero_shot.top1") == "worse"


def test_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, work = small(80), tmp_path / "work"
    only = ["center", "standardize", "nnn", "retrieval"]
    whole = mg.compare(pair, only)
    real = sys.modules["modalgap.advise.compare"]._Trials._run
    done: list[str] = []

    def some(self: Any, way: Candidate) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(way.name)
        return real(self, way)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["modalgap.advise.compare"]._Trials, "_run", some)
        with pytest.raises(KeyboardInterrupt):
            mg.compare(pair, only, work=work)
    assert done == ["none", "center"]
    with pytest.raises(errors.InputError, match="other settings"):
        mg.compare(pair, only, work=work, seed=1)
    again: list[str] = []

    def noted(self: Any, way: Candidate) -> Any:
        again.append(way.name)
        return real(self, way)

    monkeypatch.setattr(sys.modules["modalgap.advise.compare"]._Trials, "_run", noted)
    assert mg.compare(pair, only, work=work).to_json() == whole.to_json()
    assert again == ["standardize", "nnn"]
    assert not work.exists()


@in_full
def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    mg.save(small(120, 32), tmp_path / "a.safetensors")
    command = [
        sys.executable, "-m", "modalgap", "compare", str(tmp_path / "a.safetensors"),
        "--only", "retrieval,mixed", "-o",
    ]  # fmt: skip
    whole = subprocess.run([*command, str(tmp_path / "w.json")], capture_output=True, check=False)
    assert whole.returncode == 0, whole.stderr
    output = tmp_path / "o.json"
    running = subprocess.Popen([*command, str(output)], stdout=subprocess.DEVNULL, text=True)
    folder = tmp_path / "o.json.parts"
    until(lambda: len(list(folder.glob("*.safetensors"))) >= 3, running)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not output.exists()
    done = subprocess.run([*command, str(output)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == (tmp_path / "w.json").read_bytes()
    assert not folder.exists()


def test_wrong_arguments() -> None:
    pair = small()
    for arguments, said in (
        ({"only": ["centre"]}, "did you mean 'center'"),
        ({"only": ["shift:alfa=1"]}, "unknown option of shift"),
        ({"only": ["shift:alpha"]}, "NAME:OPTION=VALUE"),
        ({"only": ["shift:alpha=x"]}, "alpha must be"),
        ({"only": ["isoclip"]}, "weights"),
        ({"only": 3}, "only must be a string, a Method, a list of"),
        ({"only": [3]}, "only must be a string"),
        ({"only": []}, "at least one"),
        ({"only": ["retrieve"]}, "did you mean 'retrieval'"),
        ({"fit_fraction": 1.0}, "between 0 and 1"),
        ({"fit_fraction": "half"}, "fit_fraction must be a number"),
        ({"seed": -1}, "seed"),
        ({"nothing": 1}, "unknown option"),
    ):
        with pytest.raises(errors.OptionError, match=said):
            mg.compare(pair, **arguments)  # type: ignore[arg-type]
    for arguments, said in (
        ({"only": "zeroshots"}, "did you mean .zeroshot"),
        ({"only": []}, "at least one"),
        ({"only": 1}, "only must be a string"),
        ({"nothing": 1}, "unknown option"),
    ):
        with pytest.raises(errors.OptionError, match=said):
            mg.preflight(pair, **arguments)  # type: ignore[arg-type]
    with pytest.raises(errors.InputError, match="must be a Pair"):
        mg.compare(np.eye(3))  # type: ignore[arg-type]
    with pytest.raises(errors.NotApplicable, match="labels"):
        mg.preflight(pair, "zeroshot")
    with pytest.raises(errors.NotApplicable, match="no task applies"):
        mg.compare(lopsided(), ["center", "retrieval"])
