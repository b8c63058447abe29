"""What breaking tasks found, mended: each of these once gave a wrong number or a traceback."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run

import modalgap as mg
from modalgap import errors


def pair(n: int = 40, d: int = 12, seed: int = 0) -> mg.Pair:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d))
    return mg.Pair(x, x + 0.5 * random.normal(size=(n, d)))


def test_items_that_are_there_twice_share_their_place() -> None:
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(size=(150, 512)), 2, 0)
    y = x + np.repeat(0.5 * random.normal(size=(150, 512)), 2, 0)
    found = mg.evaluate.mixed(mg.Pair(x, y), ratios=[1.0]).scores
    assert found["text_ndcg10_100pct_images"].value <= 1 / np.log2(3) + 1e-9
    assert found["text_r1"].value == 0
    alike = np.tile(random.normal(size=512), (5, 1))
    assert mg.evaluate.retrieval(mg.Pair(alike, alike)).scores["image_to_text_r1"].value == 0


def test_captions_of_one_image_are_judged_together() -> None:
    from modalgap.evaluate.calibration import _candidates

    random = np.random.default_rng(0)
    of = np.arange(80) // 2
    data = mg.Pair(random.normal(size=(40, 8)), random.normal(size=(80, 8)), text_to_image=of)
    _, match, groups = _candidates(data, "text_text", 3, None, 0)
    assert match.sum() == 80
    assert len(np.unique(groups)) == 40


def test_other_text_of_another_name() -> None:
    data = pair()
    y = data.text.unit().numpy()
    found = mg.evaluate.robustness(
        data, other_text=mg.Embeddings(y, "caption"), retrieved="text", indexes=[]
    ).scores
    assert found["template_rob"].value == 1
    assert found["template_accuracy"].value == found["flat_accuracy"].value


def test_an_image_without_captions_costs_no_other_its_second() -> None:
    random = np.random.default_rng(0)
    of = np.arange(40) // 2
    of[of == 7] = 8
    data = mg.Pair(random.normal(size=(20, 8)), random.normal(size=(40, 8)), text_to_image=of)
    assert mg.evaluate.mixed(data).details["second_caption"]


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("mixed", {"ratios": [0.25, 0.251]}),
        ("robustness", {"sigmas": [0.02, 0.02000001]}),
        ("robustness", {"sigmas": 1e300}),
        ("robustness", {"bins": 10**30}),
        ("mixed", {"shares": [10**400, 1, 1]}),
        ("mixed", {"k": 10**400}),
        ("clustering", {"factor": ["a"]}),
        ("robustness", {"noise_on": np.array([1, 5])}),
        ("fairness", {"group": ["a"]}),
    ],
)
def test_refused(task: str, options: dict[str, Any]) -> None:
    with pytest.raises(errors.OptionError):
        mg.evaluate(pair(), task, **options)


def test_arrays_are_lists() -> None:
    found = mg.evaluate(pair(), "retrieval", ks=np.array([1, 3]))
    assert "retrieval.image_to_text_r3" in found
    assert json.loads(found.to_json())
    assert mg.evaluate(pair(), "robustness", sigmas=np.float64(0.5), indexes=[]).to_json()


def test_thresholds_and_probabilities() -> None:
    x = np.tile(np.arange(1.0, 5), (12, 1))
    assert mg.evaluate.calibrate(mg.Pair(x, x + 0), prior=0.5).threshold(0.5) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mg.evaluate.calibrate(pair(), prior=0.01)
        assert np.isfinite(found.probability([-1e9, 1e9], "logistic")).all()
    for wrong in ("x", [[1, 2], [3]]):
        with pytest.raises(errors.InputError):
            found.probability(wrong)
    for options in ({"negatives": "x"}, {"negatives": -1}, {"seed": -1}):
        with pytest.raises(errors.OptionError):
            mg.evaluate.calibrate(pair(), **options)  # type: ignore[arg-type]
    with pytest.raises(errors.InputError):
        mg.evaluate.calibrate("x")  # type: ignore[arg-type]
    with pytest.raises(errors.InputError):
        mg.evaluate.retrieval("x")


@pytest.mark.parametrize("lengths", ["x", 0, -1, np.nan, [1, 2, 3], None])
def test_lengths_of_queries(lengths: Any) -> None:
    with pytest.raises(errors.InputError):
        mg.evaluate.flip_probability(np.eye(2), 0.1, lengths)


def test_names_of_the_verb_are_no_options(tmp_path: Path, run: Run) -> None:
    mg.save(pair(), tmp_path / "a.npz")
    for setting in ("pair=3", "only=x", "seed=2", "data=1"):
        code, _, err = run("evaluate", tmp_path / "a.npz", "--set", setting)
        assert (code, err.count("\n")) == (2, 1)
        assert "must be given as --seed" in err if "seed" in setting else "unknown option" in err
