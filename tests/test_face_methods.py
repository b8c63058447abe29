"""The Python face: types, help, arrays, NumPy scalars, own methods, names of modalities."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Run
from face_cases import PAIR, X, Y

import modalgap as mg
from modalgap import errors, losses
from modalgap.close import CLOSERS, CORRECTIONS, Fitted, Step
from modalgap.evaluate import TASKS
from modalgap.invert import METHODS
from modalgap.losses import LOSSES
from modalgap.measure import MEASURES, Card

# methods of the user's own ------------------------------------------------------------------------


def test_a_measure_of_ones_own() -> None:
    card = Card(name="mine", title="T", question="Q?", idea="I.", equation="", source="me",
                direction="lower", interval="none")  # fmt: skip

    def _mine(evidence: Any, *, factor: float = 2.0) -> mg.measure.Value:  # type: ignore[name-defined]
        from modalgap.result import Value

        return Value(factor * float(evidence.gap.norm()))

    mine = mg.measure.Measure(card, _mine)
    found = mg.measure(PAIR, only=[mine, "l2m"], factor=3.0)
    assert list(found) == ["l2m", "mine"]
    assert found["mine"].value == pytest.approx(3 * found["l2m"].value)
    assert mine(X, Y).value == pytest.approx(2 * found["l2m"].value)
    assert found["mine"].source == "me"


def test_a_closer_a_task_and_a_correction_of_ones_own() -> None:
    card = Card(name="half", title="T", idea="I.", source="me", roles=("text",), reads="means")

    def _half(evidence: Any, *, share: float = 0.5) -> Fitted:
        image, text = evidence.two
        return Fitted({image.role: (), text.role: (Step(offset=share * evidence.gap),)})

    half = mg.close.Closer(card, _half)
    ours = mg.close.fit(PAIR, half)
    expected = mg.close.fit(PAIR, "shift", alpha=0.5, side="text")
    np.testing.assert_allclose(ours(Y, "text"), expected(Y, "text"), atol=1e-6)
    assert ours.method == "half"
    assert half(X, Y).fingerprint == mg.close(PAIR, half).fingerprint
    task = mg.evaluate.Task(
        Card(name="ours", title="T", question="Q?", idea="I.", source="me", main=("n",)),
        lambda pair: mg.evaluate.Outcome({"n": mg.evaluate.Scores(np.arange(pair.image.n), None)}),
    )
    assert mg.evaluate(PAIR, only=[task])["ours.n"].value == 19.5
    found = mg.compare(PAIR, [half, "retrieval", task])
    assert set(found.entries) == {"none", "half"}
    assert set(found["half"].values) >= {"ours.n", "retrieval.image_to_text_r1"}
    rule = mg.close.CorrectionRule(
        Card(name="flat", title="T", idea="I.", source="me"),
        lambda gallery, _bank, *, by=1.0: {"bias": torch.full((len(gallery),), float(by))},
        lambda scores, learnt, _used: scores - learnt["bias"],
    )
    plain = torch.from_numpy(np.asarray(PAIR.image) @ np.asarray(PAIR.text).T)
    torch.testing.assert_close(
        mg.close.correct(Y, X, rule, by=2.0)(X), plain - 2, atol=1e-5, rtol=0
    )


def test_a_loss_and_an_inversion_of_ones_own() -> None:
    infonce = LOSSES["infonce"]
    mine = losses.Loss(infonce.card, lambda features: 2 * infonce.compute(features))
    features = losses.base.Features(image=torch.eye(3), text=torch.eye(3), scale=torch.tensor(2.0))
    total, _ = losses.Objective.of({mine: 0.5})(features)
    assert float(total) == pytest.approx(float(infonce(features)))
    shift = METHODS["gap_shift"]
    own = mg.invert.Inversion(shift.card, lambda given: shift.rule(given, amount=0.5))
    ours = mg.invert(PAIR.image, own, bank=PAIR)
    theirs = mg.invert(PAIR.image, "gap_shift", bank=PAIR, amount=0.5)
    assert ours.features.fingerprint == theirs.features.fingerprint


# answers ------------------------------------------------------------------------------------------


def test_get_is_that_of_a_mapping() -> None:
    found = mg.measure(PAIR)
    assert found.get("rmg") == found["rmg"]
    assert found.get("moad_image") is None  # skipped
    assert found.get("nothing", 3) == 3


def test_answers_are_read_back() -> None:
    board = mg.compare(PAIR, ["center", "shift", "retrieval"])
    for answer in (
        mg.measure(PAIR),
        mg.evaluate(PAIR, "retrieval"),
        board,
        mg.preflight(PAIR, "retrieval"),
    ):
        again = type(answer).from_json(answer.to_json())
        assert again == answer or again.to_json() == answer.to_json()
        assert str(again) == str(answer)
        for text in ("", "[]", "{}", "5", '{"measures": 5}', "nonsense"):
            with pytest.raises(errors.FileError):
                type(answer).from_json(text)
    assert mg.Result.from_json(mg.measure(PAIR).to_json()) == mg.measure(PAIR)


def test_answers_carry_the_source() -> None:
    told = json.loads(mg.measure(PAIR).to_json())["measures"]
    assert told["rmg"]["source"] == MEASURES["rmg"].card.source
    assert told["leakage_text"]["source"] == MEASURES["leakage"].card.source
    assert all(value["source"] for value in told.values())
    told = json.loads(mg.evaluate(PAIR, "retrieval").to_json())["measures"]
    assert all(value["source"] == TASKS["retrieval"].card.source for value in told.values())


# modalities ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("matched", ["rows", "captions", "labels"])
def test_nothing_says_image_of_audio(matched: str, tmp_path: Path, run: Run) -> None:
    audio = mg.Embeddings(X, "audio")
    of = np.arange(40) // 2
    pair = {
        "rows": mg.Pair(audio, Y),
        "captions": mg.Pair(mg.Embeddings(X[:20], "audio"), Y, text_to_image=of),
        "labels": mg.Pair(audio, Y[:4], labels=np.arange(40) % 4),
    }[matched]
    result = mg.measure(pair)
    assert {"cone_audio", "leakage_audio", "logit_entropy_audio"} <= set(result)
    assert result.pair["n_audio"] == pair.image.n
    only = ["center", "shift", "retrieval", "zero_shot", "mixed", "clustering"]
    board = mg.compare(pair, only)
    page = mg.report(pair, tmp_path / "a.html").read_text("utf-8")
    mg.save(pair, tmp_path / "a.safetensors")
    told = [
        result.to_json(), board.to_json(), str(board),
        mg.preflight(pair).to_json(), page,
        *(run(command, tmp_path / "a.safetensors")[1] for command in ("measure", "evaluate")),
    ]  # fmt: skip
    for text in told:
        # not of audio: kinds of files, the element of SVG, the name of a colour
        plain = re.sub(r"data:image/\w+|</?image\b|--image\b", "", text)
        assert not re.findall(r".{0,40}[Ii]mage.{0,40}", plain)


def test_measures_of_one_modality_of_a_pair() -> None:
    pair = mg.Pair(mg.Embeddings(X, "audio"), Y)
    found = mg.measure(pair, "leakage")
    assert list(found) == ["leakage_audio", "leakage_text"]
    assert mg.measure.leakage.of("audio")(pair) == found["leakage_audio"]
    assert mg.measure.leakage_text(X, Y) == mg.measure(PAIR)["leakage_text"]
    for measure in (mg.measure.leakage, mg.measure.leakage_image):
        with pytest.raises(errors.OptionError, match=r"this pair has audio and text"):
            measure(pair)


# one word for many, one for one -------------------------------------------------------------------


def test_only_chooses_many_and_method_one(run: Run) -> None:
    for verb in (mg.measure.measure, mg.evaluate.evaluate, mg.compare, mg.preflight):
        names = set(inspect.signature(verb).parameters)
        assert "only" in names
        assert names.isdisjoint({"tasks", "task", "closers", "methods", "measures"})
    for verb in (mg.close.close, mg.close.fit, mg.close.correct, mg.invert.invert, mg.invert.curve):
        assert "method" in inspect.signature(verb).parameters
    for command in ("measure", "evaluate", "compare", "preflight"):
        out = run(command, "--help")[1]
        assert "--only" in out
        assert not re.search(r"--(tasks?|closers|methods?)\b", out)
    assert not set(TASKS) & {*CLOSERS, *CORRECTIONS}  # compare takes all three in one list
