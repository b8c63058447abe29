"""Preflight and compare: fitted on one part, judged on another; verdicts that the data deserves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advise.cases import Floats, lopsided, small

import modalgap as mg
from modalgap import errors
from modalgap.advise.trial import Candidate, Closed, halves
from modalgap.embeddings import pick_images
from modalgap.report.comparison import comparison_page

# parts --------------------------------------------------------------------------------------------


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
    from modalgap import files

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


# preflight ----------------------------------------------------------------------------------------


def test_preflight_on_real_pairs(coco: Floats) -> None:
    advice = mg.preflight(mg.Pair(coco[0], coco[1]), retrieved="text")
    assert advice.verdicts["retrieval"].answer == "leave"
    assert advice.verdicts["mixed"].answer == "close"
    assert advice.verdicts["quantised"].answer == "close"
    assert advice.verdicts["quantised"].closer == "center"
    assert "zeroshot" in advice.skipped
    said = str(advice)
    assert "retrieval: leave it as it is" in said
    assert "quantised: close it, with center, for int4, SQ4 uniform, PQ4 and RaBitQ\n" in said
    assert "significant for signs, int8, SQ8, SQ4 and IVF PQ4." in said
    assert "mixed: standardise the scores (zscore)\n" in said  # both numbers improve
    quantised = advice.verdicts["quantised"]
    averaged = ("int4", "binary", "sq4_uniform", "pq4", "rabitq")
    means = np.mean([quantised.numbers[f"{name}_accuracy"] for name in averaged], axis=0)
    assert means[:2] == pytest.approx((quantised.before, quantised.after["center"]))
    assert mg.advise.Advice.from_json(advice.to_json()) == advice
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


# pages and commands -------------------------------------------------------------------------------


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


# modalities of other names, options that would change what is said --------------------------------


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
