"""Preflight and compare: fitted on one part, judged on another; verdicts that the data deserves."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from patience import until

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import Candidate, Closed, halves
from modalgap.close import correct
from modalgap.embeddings import pick_images
from modalgap.report.comparison import comparison_page

ROOT = Path(__file__).resolve().parents[2]
Floats = NDArray[np.float32]


def small(n: int = 60, d: int = 16, seed: int = 0, gap: float = 1.0) -> mg.Pair:
    """Matched rows with noise, a gap apart."""
    random = np.random.default_rng(seed)
    content = random.normal(size=(n, d))
    between = gap * np.sqrt(d) * np.eye(d)[0]
    return mg.Pair(
        content + 0.5 * random.normal(size=(n, d)) + between,
        content + 0.5 * random.normal(size=(n, d)) - between,
    )


def lopsided(n: int = 400, d: int = 24, seed: int = 0) -> mg.Pair:
    """Nine images in ten are of the first of two classes: their mean is content."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.1).astype(np.int64)
    prompts = np.eye(2, d) + 0.1
    images = prompts[labels] + 0.25 * random.normal(size=(n, d)) + 0.5 * np.eye(d)[5]
    return mg.Pair(images, prompts, labels=labels)


# parts ------------------------------------------------------------------------------------------


def test_parts_share_no_image(coco: Floats) -> None:
    pair = mg.Pair(
        mg.Embeddings(coco[0], names=list(map(str, range(500)))),
        mg.Embeddings(np.repeat(coco[1], 2, 0), "text", names=list(map(str, range(1000)))),
        text_to_image=np.arange(1000) // 2,
    )
    first, second = halves(pair, 0.3, seed=3)
    assert (first.image.n, second.image.n) == (150, 350)
    assert not set(first.image.names or ()) & set(second.image.names or ())
    for part in (first, second):
        images, texts = (index.numpy() for index in part.matches)
        assert part.image.names is not None
        assert part.text.names is not None
        for image, text in zip(images, texts, strict=True):
            assert int(part.text.names[text]) // 2 == int(part.image.names[image])
            whole = pair.image.take([int(part.image.names[image])])
            assert torch.equal(part.image.take([image]), whole)


def test_prompts_are_in_both_parts() -> None:
    pair = lopsided()
    for part in halves(pair, 0.5, seed=0):
        assert part.text.n == 2
        assert part.labels is not None
        assert len(part.labels) == part.image.n


def test_parts_of_files_equal_parts_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modalgap.embeddings.formats import files

    pair = small()
    mg.save(pair, tmp_path / "a.safetensors")
    monkeypatch.setattr(files, "SMALL", 0)
    lazy = mg.load(tmp_path / "a.safetensors")
    assert not lazy.image.rows.in_memory
    index = np.array([1, 4, 5, 30])
    a, b = pick_images(pair, index), pick_images(lazy, index)
    assert torch.equal(a.image.unit(), b.image.unit())
    assert torch.equal(a.text.take([2, 0]), b.text.take([2, 0]))
    with pytest.raises(errors.OutputError, match="read from"):
        mg.save(b, tmp_path / "a.safetensors", overwrite=True)


def test_too_few_images() -> None:
    with pytest.raises(errors.NotApplicable, match="10 images in each part"):
        mg.compare(small(12))
    with pytest.raises(errors.NotApplicable, match="10 images in each part"):
        mg.preflight(small(12))


def test_a_map_never_sees_what_it_is_judged_on() -> None:
    first, second = halves(small(), 0.5, seed=0)
    closed = Closed.by(Candidate.parse("center"), first, second)
    expected = mg.close.fit(first, "center").apply(second)
    assert torch.equal(closed.judged.image.unit(), expected.image.unit())


# compare ----------------------------------------------------------------------------------------


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


# preflight --------------------------------------------------------------------------------------


def test_preflight_on_real_pairs(coco: Floats) -> None:
    advice = mg.preflight(mg.Pair(coco[0], coco[1]), retrieved="text")
    assert advice.verdicts["retrieval"].answer == "leave"
    assert advice.verdicts["mixed"].answer == "close"
    assert advice.verdicts["quantised"].answer == "close"
    assert advice.verdicts["quantised"].closer == "center"
    assert "zeroshot" in advice.skipped
    said = str(advice)
    assert "retrieval: leave it as it is" in said
    assert "quantised: close it, with center" in said
    told = json.loads(advice.to_json())
    assert told["verdicts"]["quantised"]["after"]["center"] > 0.5


def test_preflight_says_do_not() -> None:
    advice = mg.preflight(lopsided())
    verdict = advice.verdicts["zeroshot"]
    assert verdict.answer == "do not"
    assert verdict.closer == ""
    _, _, high = verdict.differences["center"]
    assert high < 0
    assert "do not close it" in str(advice)


def test_preflight_judges_every_image_once(coco: Floats) -> None:
    pair = mg.Pair(coco[0], coco[1])
    verdict = mg.preflight(pair, "retrieval").verdicts["retrieval"]
    values = []
    for fitted, judged in (halves(pair, 0.5, 0), halves(pair, 0.5, 0)[::-1]):
        closed = mg.close.fit(fitted, "center").apply(judged)
        scores = mg.evaluate.retrieval(closed).scores
        values += [scores["image_to_text_r1"].value, scores["text_to_image_r1"].value]
    assert verdict.after["center"] == pytest.approx(np.mean(values))


# pages and commands -----------------------------------------------------------------------------


def test_commands(tmp_path: Path, run: Any) -> None:
    mg.save(small(80), tmp_path / "<b>.safetensors")
    source, page = tmp_path / "<b>.safetensors", tmp_path / "o.html"
    code, out, _ = run("preflight", source, "--only", "retrieval")
    assert code == 0
    assert "retrieval:" in out
    code, out, _ = run("preflight", source, "--only", "retrieval", "--json")
    assert json.loads(out)["verdicts"]["retrieval"]["task"] == "retrieval"
    arguments = ("compare", source, "--only", "center,shift,retrieval")
    code, out, _ = run(*arguments, "-o", page)
    assert code == 0
    assert "Cross-modal retrieval" in out
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "center" in text
    assert "<b>.safe" not in text
    code, _, err = run(*arguments, "-o", page)
    assert (code, err.count("\n")) == (2, 1)
    assert "exists" in err
    code, out, _ = run(*arguments, "--json")
    assert json.loads(out)["columns"] == [
        "retrieval.image_to_text_r1",
        "retrieval.text_to_image_r1",
    ]
    for wrong in (("-o", tmp_path / "o.txt"), ("--fit-fraction", "2"), ("--only", "x")):
        code, _, err = run(*arguments[:2], *wrong)
        assert (code, err.count("\n")) == (2, 1), err


def test_page_needs_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="must be a Comparison"):
        comparison_page(3, tmp_path / "a.html")  # type: ignore[arg-type]


# stores -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["store_faiss", "store_lancedb"])
def test_stores_on_real_pairs(store: str, coco: Floats, capfd: pytest.CaptureFixture[str]) -> None:
    found = runpy.run_path(str(ROOT / "examples" / f"{store}.py"))["found"]
    shares = found(mg.Pair(coco[0], coco[1]))
    capfd.readouterr()  # faiss and lance warn that the rows are few
    assert shares["before"] < 0.1
    assert shares["after"] > 0.6


# modalities of other names, options that would change what is said ------------------------------


def test_other_modalities(tmp_path: Path) -> None:
    base = small(80)
    sound = mg.Embeddings(base.image.unit(), "audio")
    said = mg.Embeddings(base.text.unit(), "caption")
    board = mg.compare(mg.Pair(sound, said), only=["retrieval", "calibration"])
    assert set(board.failed) <= {"spectral"}  # of negative similarities
    assert "retrieval.audio_to_caption_r1" in board.columns
    page = comparison_page(board, tmp_path / "a.html").read_text(encoding="utf-8")
    assert "audio → caption" in page
    verdict = mg.preflight(mg.Pair(sound, said), "retrieval").verdicts["retrieval"]
    assert "audio → caption R@1, caption → audio R@1" in verdict.why[0]
    with pytest.raises(errors.OptionError, match="unknown option 'ks'"):
        mg.preflight(base, "retrieval", ks=[5])


def test_other_tasks_are_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = sys.modules["modalgap.advise.compare"]._Trials
    real = trials._run

    def one(self: Any, way: Candidate) -> Any:
        if way.name != "none":
            raise KeyboardInterrupt
        return real(self, way)

    with monkeypatch.context() as patch:
        patch.setattr(trials, "_run", one)
        with pytest.raises(KeyboardInterrupt):
            mg.compare(small(), ["center", "retrieval"], work=tmp_path / "w")
    with pytest.raises(errors.InputError, match="tasks"):
        mg.compare(small(), ["center", "retrieval", "mixed"], work=tmp_path / "w")
    board = mg.compare(small(), ["center", "mixed"], work=tmp_path / "w", overwrite=True)
    assert {column.partition(".")[0] for column in board.columns} == {"mixed"}


def test_a_damaged_part_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.numpy

    trials = sys.modules["modalgap.advise.compare"]._Trials
    real, work = trials._run, tmp_path / "w"

    def one(self: Any, way: Candidate) -> Any:
        if way.name != "none":
            raise KeyboardInterrupt
        return real(self, way)

    with monkeypatch.context() as patch:
        patch.setattr(trials, "_run", one)
        with pytest.raises(KeyboardInterrupt):
            mg.compare(small(), ["center", "retrieval"], work=work)
    for found in ("[]", '{"values": {}}'):
        for part in work.glob("*.safetensors"):
            part.write_bytes(safetensors.numpy.save({}, {"found": found}))
        with pytest.raises(errors.FileError, match="is damaged; remove"):
            mg.compare(small(), ["center", "retrieval"], work=work)


def test_closed_already_by_published_means() -> None:
    base = small()
    means = {side.modality: side.unit().double().mean(0).numpy() for side in base.sides}
    map_ = mg.close.fit(means, "center")
    with pytest.raises(errors.InputError, match="closed"):
        map_.apply(map_.apply(base))


@pytest.mark.parametrize("scale", [1e-30, 1e-13, 1e20, 1e30])
def test_exports_take_rows_of_any_length(scale: float, tmp_path: Path) -> None:
    import onnxruntime

    base = small()
    map_ = mg.close.fit(base, "center")
    rows = (base.image.unit().double() * scale).float()
    ours = map_.image(base.image.unit())
    theirs = mg.close.to_torch(map_, "image")(rows).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    path = mg.close.to_onnx(map_, tmp_path / "m.onnx", "image")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"rows": rows.numpy()})
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
