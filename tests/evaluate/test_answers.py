"""Who answers whom, and tasks on three modalities."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors

NAMES = ("image", "text", "audio")


def three(n: int = 30, seed: int = 0) -> mg.Modalities:
    random = np.random.default_rng(seed)
    content = random.normal(size=(n, 5))
    return mg.Modalities(
        {name: content + random.normal(size=(n, 5)) + random.normal(size=5) for name in NAMES}
    )


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(deadline=None, max_examples=15)
def test_against_every_cosine(seed: int, k: int) -> None:
    mods = three(12, seed)
    found = mg.evaluate.answers(mods, k=k)
    pool = np.concatenate([side.unit().double().numpy() for side in mods.sides])
    owner = np.repeat(np.arange(3), 12)
    cosine = pool @ pool.T
    np.fill_diagonal(cosine, -np.inf)
    order = np.argsort(-cosine, 1)[:, :k]
    for a, query in enumerate(NAMES):
        for b, other in enumerate(NAMES):
            shares = (owner[order[owner == a]] == b).mean(1)
            score = found.scores[f"{query}_to_{other}_top{k}"]
            assert score.value == pytest.approx(shares.mean(), abs=1e-9)
            if k > 1:
                first = (owner[order[owner == a][:, 0]] == b).mean()
                assert found.scores[f"{query}_to_{other}_top1"].value == pytest.approx(first)
            fair = (12 - (a == b)) / 35
            assert found.details["fair"][query][other] == pytest.approx(fair)


def test_a_pair() -> None:
    pair = three().pair("image", "text")
    found = mg.evaluate(pair, only="answers", k=5)
    assert set(found) == {
        f"answers.{a}_to_{b}_top{k}"
        for a in ("image", "text")
        for b in ("image", "text")
        for k in (1, 5)
    }
    assert float(found["answers.image_to_text_top1"]) == pytest.approx(float(mg.measure.itr(pair)))
    rows = found.matrix("answers.top5")
    for query in rows:
        assert sum(float(value) for value in rows[query].values()) == pytest.approx(1)


def test_shares_are_fair_without_a_gap() -> None:
    random = np.random.default_rng(0)
    mods = mg.Modalities({name: random.normal(size=(400, 16)) for name in NAMES})
    found = mg.evaluate(mods, only="answers")
    for name, value in found.items():
        assert float(value) == pytest.approx(1 / 3, abs=0.08), name


def test_evaluate_runs_each_task_on_every_two() -> None:
    mods = three()
    found = mg.evaluate(mods, only=["retrieval", "clustering", "answers"])
    expected = set()
    for two in combinations(NAMES, 2):
        alone = mg.evaluate(mods.pair(*two), only=["retrieval", "clustering"])
        for name, value in alone.items():
            task, _, number = name.partition(".")
            full = name if "_to_" in number else f"{task}.{two[0]}.{two[1]}.{number}"
            assert found[full].to_dict() == value.to_dict()
            expected.add(full)
    expected |= {name for name in found if name.startswith("answers.")}
    assert set(found) == expected
    assert len(found.matrix("answers.top1")) == 3
    assert float(found.matrix("retrieval.r1")["audio"]["text"]) == float(
        found["retrieval.audio_to_text_r1"]
    )


def test_tasks_of_two_modalities_are_those_of_the_pair() -> None:
    pair = three().pair("text", "audio")
    assert (
        mg.evaluate(mg.Modalities.of(pair), only="retrieval").to_dict()
        == mg.evaluate(pair, only="retrieval").to_dict()
    )


def test_another_order_changes_the_order_only() -> None:
    mods = three()
    wanted = mg.evaluate(mods, only=["retrieval", "answers"])
    for order in permutations(NAMES):
        found = mg.evaluate(
            mg.Modalities(mods[name] for name in order), only=["retrieval", "answers"]
        )
        assert {name: float(value) for name, value in found.items()} == pytest.approx(
            {name: float(value) for name, value in wanted.items()}
        )


def test_what_does_not_apply() -> None:
    with pytest.raises(errors.NotApplicable, match=r"zero_shot.image.text: "):
        mg.evaluate(three(), only="zero_shot")
    found = mg.evaluate(three(), ratios=[0.5])
    assert {"zero_shot.image.text", "zero_shot.image.audio"} <= set(found.skipped)
    with pytest.raises(errors.InputError, match="retrieval needs two modalities; these are 3"):
        mg.evaluate.retrieval(three())
