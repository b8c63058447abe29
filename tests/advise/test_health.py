"""Health checks: what they find, thresholds of the user, exit codes for pipelines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advise.cases import Floats, lopsided, small
from conftest import find_shared

import modalgap as mg
from modalgap import errors
from modalgap.advise import CHECKS, Advice, Check
from modalgap.advise.health import health, resolve


def checked(pair: mg.Pair, **thresholds: dict[str, float | None]) -> dict[str, Check]:
    """Checks without recommendations, which take longer."""
    return {c.name: c for c in health(pair, mg.measure(pair), {}, resolve(thresholds))}


def statuses(found: dict[str, Check]) -> dict[str, str]:
    return {name: check.status for name, check in found.items() if check.status != "ok"}


def test_trained_embeddings_have_no_failure(coco: Floats) -> None:
    found = checked(mg.Pair(*coco))
    assert list(found) == list(CHECKS)
    assert statuses(found) == {"out_of_corpus": "warn"}
    assert statuses(checked(mg.close(mg.Pair(*coco), "center"))) == {}


def test_matched_pairs_stand_apart(coco: Floats) -> None:
    """The stated value is 3.07, counted over pairs that do not match."""
    x, y = coco
    scores = (x @ y.T).astype(float)
    unmatched = scores[~np.eye(500, dtype=bool)]
    expected = (np.diag(scores).mean() - unmatched.mean()) / scores.std()
    found = checked(mg.Pair(x, y))["matched_pairs"]
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.value == pytest.approx(3.07, abs=0.03)


def test_pairs_in_the_wrong_order_fail(coco: Floats) -> None:
    found = checked(mg.Pair(coco[0], np.roll(coco[1], 1, axis=0)))
    assert statuses(found) == {"matched_pairs": "fail", "out_of_corpus": "warn"}
    assert "row i of both files is the same item" in found["matched_pairs"].suggestion


def test_an_untrained_model_fails() -> None:
    found = statuses(checked(mg.Pair(*np.load(find_shared("clip_random_coco500.npy")))))
    assert found["matched_pairs"] == found["directions"] == found["near_duplicates"] == "fail"


def test_collapsed_rows_fail() -> None:
    base = small(300)
    rows = [side.unit().numpy() + 30 * np.eye(16)[3] for side in base.sides]
    found = checked(mg.Pair(*rows))
    assert found["cone"].status == "fail"
    assert found["cone"].value > 0.95


def test_equal_lengths_are_no_range() -> None:
    pair = mg.Pair(*(side.unit() for side in small(120).sides))
    assert checked(pair)["norms"].seen == "all stored images have length 1"


def test_the_diagnosis_of_hubs_agrees_with_the_check(coco: Floats) -> None:
    for limit, said in ((3, "There are no strong hubs (skewness 2.3)."), (2, "There are hubs (")):
        advice = mg.preflight(mg.Pair(*coco), "retrieval", thresholds={"hubness": {"warn": limit}})
        (status,) = (each.status for each in advice.checks if each.name == "hubness")
        assert (status == "ok") == (limit == 3)
        assert [each for each in advice.diagnosis if each.startswith(said)]


def test_lengths_hubs_and_few_rows_warn() -> None:
    random = np.random.default_rng(0)
    base = small(120)
    image = base.image.unit().numpy() * random.uniform(1, 2, (120, 1))
    found = checked(mg.Pair(image, base.text.unit()))
    assert found["norms"].status == found["rows"].status == "warn"
    hubs = np.concatenate([np.full((1, 12), 0.05), random.normal(size=(300, 12)) + 0.05])
    pair = mg.Pair(hubs, random.normal(size=(301, 12)))
    loose = checked(pair)
    strict = checked(pair, hubness={"warn": 0.1, "fail": 0.2}, antihubs={"warn": 0})
    assert (loose["hubness"].value, loose["hubness"].status) == (strict["hubness"].value, "ok")
    assert strict["hubness"].status == "fail"
    assert (strict["hubness"].warn, strict["hubness"].fail) == (0.1, 0.2)


def test_class_prompts_are_checked_too() -> None:
    pair = lopsided()
    found = checked(pair)["matched_pairs"]
    x, y = (side.unit().double().numpy() for side in pair.sides)
    scores, labels = x @ y.T, np.asarray(pair.labels)
    match = labels[:, None] == np.arange(2)
    expected = (scores[match].mean() - scores[~match].mean()) / scores.std()
    assert found.value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", CHECKS)
def test_every_rule_is_explained_and_ordered(name: str) -> None:
    rule = CHECKS[name]
    for text in (rule.reason, rule.why, rule.suggestion):
        assert text.endswith(".")
    values = [value for value in (rule.warn, rule.fail) if value is not None]
    assert rule.warn is not None
    assert values == sorted(values, reverse=rule.low_is_bad)
    bad = -math.inf if rule.low_is_bad else math.inf
    assert rule.status(bad, rule.warn, rule.fail) == ("warn" if rule.fail is None else "fail")
    assert rule.status(-bad, rule.warn, rule.fail) == "ok"
    assert rule.status(rule.warn, rule.warn, rule.fail) == "ok"
    assert rule.status(bad, None, None) == "ok"


WRONG: list[tuple[Any, str]] = [
    ([], "thresholds must be a mapping"),
    ({"hubnes": {}}, "unknown check in thresholds 'hubnes'; did you mean 'hubness'?"),
    ({"hubness": 3}, 'thresholds: hubness must be like {"warn": 1, "fail": 2}; got 3'),
    (
        {"hubness": {"warm": 3}},
        "unknown level of hubness in thresholds 'warm'; did you mean 'warn'",
    ),
    ({"hubness": {"warn": "3"}}, "thresholds: warn of hubness must be a finite number; got '3'"),
    ({"hubness": {"warn": True}}, "warn of hubness must be a finite number; got True"),
    ({"hubness": {"fail": math.nan}}, "fail of hubness must be a finite number; got nan"),
    ({"hubness": {"warn": 20}}, "warn of hubness must be at most its fail, 10; got 20"),
    ({"cone": {"fail": 0.1}}, "warn of cone must be at most its fail, 0.1; got 0.8"),
    ({"matched_pairs": {"warn": 0}}, "warn of matched_pairs must be at least its fail, 0.5; got 0"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=str)
def test_thresholds_that_are_refused(given: Any, words: str) -> None:
    with pytest.raises(errors.OptionError) as caught:
        mg.preflight(small(), thresholds=given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_levels_that_are_off() -> None:
    found = checked(mg.Pair(*np.ones((2, 20, 4)) + 0.01 * np.eye(20, 4)), cone={"fail": None})
    assert found["cone"].status == "warn"
    assert found["cone"].fail is None


def test_advice_carries_its_checks(coco: Floats) -> None:
    advice = mg.preflight(mg.Pair(*coco), "mixed", thresholds={"out_of_corpus": {"fail": 0.9}})
    found = {check.name: check for check in advice.checks}
    assert advice.status == "fail"
    assert found["out_of_corpus"].status == "fail"
    verdict = advice.verdicts["mixed"]
    gain = found["gain_from_closing"]
    assert gain.status == "warn"
    assert gain.value == verdict.differences[verdict.closer][0]
    again = Advice.from_json(advice.to_json())
    assert again.checks == advice.checks
    told = json.loads(advice.to_json())
    assert told["status"] == "fail"
    del told["checks"]
    assert Advice.from_dict(told).checks == ()
    said = str(advice)
    assert "checks: fail" in said
    assert f"fail out_of_corpus: {found['out_of_corpus'].seen}." in said
    assert "Try: " in said


def test_exit_codes(tmp_path: Path, run: Callable[..., tuple[int, str, str]], coco: Floats) -> None:
    source, limits = tmp_path / "a.npy", tmp_path / "limits.json"
    np.save(source, coco[:, :100])
    arguments = ("preflight", source, "--only", "retrieval")
    code, out, _ = run(*arguments)
    assert code == 0
    assert "checks: warn" in out
    assert "warn out_of_corpus: " in out
    assert run(*arguments, "--fail-on", "fail")[0] == 0
    code, out, err = run(*arguments, "--fail-on", "warn", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["status"] == "warn"
    limits.write_text('{"out_of_corpus": {"warn": null}, "rows": {"warn": 50}}')
    assert run(*arguments, "--fail-on", "warn", "--thresholds", limits)[0] == 0
    limits.write_text('{"rows": {"warn": 500, "fail": 400}}')
    assert run(*arguments, "--fail-on", "fail", "--thresholds", limits)[0] == 1
    for text, words in (
        ("{", "limits.json: must be JSON"),
        ("[1]", "limits.json: must be a JSON object"),
        ('{"x": {}}', "unknown check in "),
        ('{"rows": {"warn": "1"}}', "limits.json: warn of rows must be a finite number; got '1'"),
    ):
        limits.write_text(text)
        code, out, err = run(*arguments, "--thresholds", limits)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err
    for wrong in (("--fail-on", "ok"), ("--thresholds", tmp_path / "none.json")):
        code, _, err = run(*arguments, *wrong)
        assert (code, err.count("\n")) == (2, 1), err
