"""The verb, the intervals of its numbers, and whatever data or options it may be given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from evaluate.verb_cases import Floats, captions, pairs, prompts
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, v_measure_score

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings
from modalgap.evaluate import TASKS, Outcome, Scores
from modalgap.evaluate.base import mean, median, ratio
from modalgap.evaluate.calibration import BINS, _brier, _ece, _precision, _recall
from modalgap.evaluate.clustering import v_measure
from modalgap.evaluate.zero_shot import mean_per_class

Ints = NDArray[np.int64]
NEEDS = {"zero_shot", "within", "fairness"}  # of what plain pairs lack


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


def repeated(scores: Scores, statistic: Callable[[Any], float], seed: int, draws: int) -> Floats:
    """The bootstrap with rows physically repeated."""
    assert scores.clusters is not None
    names = np.unique(scores.clusters)
    members = [np.flatnonzero(scores.clusters == name) for name in names]
    chosen = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    return np.array(
        [statistic(scores.values[np.concatenate([members[c] for c in row])]) for row in chosen]
    )


def several_scores() -> dict[str, tuple[Scores, Callable[[Any], float]]]:
    random = np.random.default_rng(0)
    clusters = random.integers(100, 130, 90)
    values = random.normal(size=90)
    codes = np.stack([random.integers(0, 2, 90), random.integers(0, 4, 90)], 1)
    return {
        "mean": (Scores(values, clusters), np.mean),
        "mean of truths": (Scores((values > 0).astype(float), clusters), np.mean),
        "median": (
            Scores(values, clusters, median),
            lambda rows: float(np.sort(rows)[(len(rows) - 1) // 2]),
        ),
        "mean per class": (
            Scores(codes, clusters, mean_per_class),
            lambda rows: balanced_accuracy_score(
                rows[:, 1], np.where(rows[:, 0] == 1, rows[:, 1], -1)
            ),
        ),
        "v measure": (
            Scores(codes, clusters, v_measure),
            lambda rows: v_measure_score(rows[:, 0], rows[:, 1]),
        ),
    }


# scores -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:The number of unique classes is greater than")
@pytest.mark.parametrize("name", several_scores())
def test_draws_against_a_direct_bootstrap(name: str) -> None:
    scores, statistic = several_scores()[name]
    expected = repeated(scores, statistic, seed=5, draws=60)
    assert scores.draws(5, 60) == pytest.approx(expected, abs=1e-9)
    assert scores.value == pytest.approx(statistic(scores.values), abs=1e-9)


@pytest.mark.parametrize("name", ["mean", "median"])
def test_intervals_against_a_direct_bootstrap(name: str) -> None:
    scores, statistic = several_scores()[name]
    drawn = repeated(scores, statistic, seed=2, draws=1000)
    assert scores.interval(2) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9)


def test_differences_against_a_direct_bootstrap() -> None:
    random = np.random.default_rng(1)
    clusters = np.arange(120) // 3
    ours = Scores(random.normal(size=120), clusters)
    theirs = Scores(ours.values + 0.1 * random.normal(size=120) - 0.2, clusters)
    one, two = (repeated(scores, np.mean, 4, 1000) for scores in (ours, theirs))
    value, between = ours.minus(theirs, 4)
    assert value == pytest.approx(ours.values.mean() - theirs.values.mean())
    assert between == pytest.approx(tuple(np.quantile(one - two, [0.025, 0.975])), abs=1e-9)
    _, ninety = ours.minus(theirs, 4, level=0.9)
    assert ninety == pytest.approx(tuple(np.quantile(one - two, [0.05, 0.95])), abs=1e-9)
    # on the same units they vary together
    alone = ours.interval(4)
    assert between is not None
    assert alone is not None
    assert between[1] - between[0] < 0.3 * (alone[1] - alone[0])
    assert between[0] > 0
    backwards = theirs.minus(ours, 4)
    assert backwards == (-value, pytest.approx((-between[1], -between[0])))


def test_differences_of_two_statistics_are_of_the_same_resamples() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    one, two = Scores(values, np.arange(50)), Scores(values, np.arange(50), median)
    expected = repeated(one, np.mean, 3, 1000) - repeated(
        two, lambda rows: float(np.sort(rows)[24]), 3, 1000
    )
    between = one.minus(two, 3)[1]
    assert between == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])), abs=1e-9)
    assert one.minus(one, 3) == (0, (0, 0))


def test_clusters_move_together() -> None:
    values = np.random.default_rng(0).normal(size=40)
    alone = Scores(values, np.arange(40)).interval(0)
    five_times = Scores(np.repeat(values, 5), np.repeat(np.arange(40), 5)).interval(0)
    assert five_times == pytest.approx(alone)
    apart = Scores(np.repeat(values, 5), np.arange(200)).interval(0)
    assert alone is not None
    assert apart is not None
    assert apart[1] - apart[0] < 0.6 * (alone[1] - alone[0])


def error_of_bins(rows: Floats) -> float:
    """The expected calibration error by its definition, from rows (probability, match, weight)."""
    total = 0.0
    for number in range(BINS):
        p, hit, w = rows[np.minimum(np.floor(rows[:, 0] * BINS), BINS - 1) == number].T
        if len(p):
            total += w.sum() * abs(np.average(p, weights=w) - np.average(hit, weights=w))
    return float(total / rows[:, 2].sum())


def test_functions_of_sums_are_those_of_repeated_rows() -> None:
    random = np.random.default_rng(0)
    p, hit = random.random(90), random.random(90) < 0.4
    rows = np.stack([p, hit, random.random(90)], 1)
    accepted = np.stack([p > 0.5, hit, random.random(90)], 1).astype(np.float64)
    plain: dict[Any, Callable[[Any], float]] = {
        _ece: error_of_bins,
        _brier: lambda v: float(np.average((v[:, 0] - v[:, 1]) ** 2, weights=v[:, 2])),
        _precision: lambda v: float(np.average(v[:, 1], weights=v[:, 0] * v[:, 2])),
        _recall: lambda v: float(np.average(v[:, 0], weights=v[:, 1] * v[:, 2])),
    }
    for statistic, definition in plain.items():
        values = accepted if statistic in (_precision, _recall) else rows
        scores = Scores(values, np.arange(90) // 2, statistic)
        assert scores.value == pytest.approx(definition(values))
        expected = repeated(scores, definition, 3, 40)
        if statistic is _ece:  # resampling raises it
            assert expected.mean() > scores.value
            expected = np.maximum(expected - expected.mean() + scores.value, 0)
        assert np.allclose(scores.draws(3, 40), expected)
    assert math.isnan(ratio(np.zeros(2)))


def test_names_of_clusters_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=40)
    codes = np.arange(40) // 4
    expected = Scores(values, codes).draws(0)
    assert np.array_equal(Scores(values, codes * 1000 - 7).draws(0), expected)


@pytest.mark.parametrize("statistic", [mean, median])
def test_large_samples_are_drawn_in_blocks_alike(statistic: Any) -> None:
    values = np.random.default_rng(0).normal(size=9000)  # 9,000 × 1,000 is over one block
    scores = Scores(values, np.arange(9000), statistic)
    draws = 1000 if statistic is mean else 935
    found = scores.draws(6, draws)
    assert found is not None
    chosen = np.random.default_rng(6).integers(0, 9000, (draws, 9000))
    for row in (0, 233, draws - 1):
        again = np.sort(values[chosen[row]])
        expected = again.mean() if statistic is mean else again[4499]
        assert found[row] == pytest.approx(expected, abs=1e-9)
    spread = 1 / np.sqrt(9000) * (1 if statistic is mean else np.sqrt(np.pi / 2))
    assert found.std() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_units_that_are_all_alike(value: float) -> None:
    from modalgap.measure.intervals import wilson

    scores = Scores(np.full(60, value), np.arange(60) // 3)
    assert scores.interval(0) == pytest.approx(wilson(value, 20))
    assert Scores(np.full(60, value), None).interval(0) is None
    assert Scores(np.full(60, value), np.arange(60), median).interval(0) == (value, value)
    assert Scores(np.full(60, 0.5), np.arange(60)).interval(0) == (0.5, 0.5)


@pytest.mark.parametrize("clustered", [False, True])
def test_intervals_cover_the_truth(clustered: bool) -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        effect = random.normal(size=50)
        values = effect if not clustered else np.repeat(effect, 4) + random.normal(size=200)
        of = np.arange(50) if not clustered else np.arange(200) // 4
        interval = Scores(values, of).interval(0)
        assert interval is not None
        covered.append(interval[0] <= 0 <= interval[1])
    assert 0.88 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("clusters", [None, np.arange(4), np.arange(20) % 4])
def test_few_units_have_no_interval(clusters: Ints | None) -> None:
    scores = Scores(np.ones(20 if clusters is None else len(clusters)), clusters)
    assert scores.draws(0) is None
    assert scores.interval(0) is None
    assert scores.minus(scores, 0) == (0, None)
    assert scores.value == 1


def test_undefined_draws_have_no_interval() -> None:
    def only_large(values: Floats, weights: Floats) -> float:
        return float(values[weights > 3].mean()) if (weights > 3).any() else float("nan")

    assert Scores(np.arange(6.0), np.arange(6), only_large).interval(0) is None


# names and reasons --------------------------------------------------------------------------------


def test_names_and_reasons_of_plain_pairs() -> None:
    result = mg.evaluate(pairs())
    assert {name.partition(".")[0] for name in result} == set(TASKS) - NEEDS
    assert set(result.skipped) == NEEDS
    assert "labels" in result.skipped["zero_shot"]
    assert "'race'" in result.skipped["fairness"]
    assert not any(reason.startswith(name) for name, reason in result.skipped.items())
    order = [name.partition(".")[0] for name in result]
    assert list(dict.fromkeys(order)) == [name for name in TASKS if name not in NEEDS]
    assert result.pair["n_image"] == 40
    assert result.pair["fingerprint"] == pairs().fingerprint


def test_names_of_captions_and_prompts() -> None:
    assert set(mg.evaluate(captions()).skipped) == {"zero_shot", "fairness"}
    result = mg.evaluate(prompts(), harmful=["u"])
    assert set(result.skipped) == {"retrieval", "mixed"}
    assert {
        "zero_shot.top1",
        "within.image_map",
        "robustness.flat_accuracy",
        "clustering.image_class_v",
        "calibration.image_image_auc",
        "fairness.largest_difference",
    } <= set(result)


def test_values_are_those_of_the_tasks() -> None:
    pair = captions()
    result = mg.evaluate(pair, seed=3)
    for name, task in TASKS.items():
        if name in result.skipped:
            continue
        options = {"seed": 3} if "seed" in task.options else {}
        found = task(pair, **options)
        assert numbers(found) == {
            key.partition(".")[2]: value.value
            for key, value in result.items()
            if key.startswith(f"{name}.")
        }
        for key, scores in found.scores.items():
            value = result[f"{name}.{key}"]
            assert value.interval == scores.interval(3)
            assert value.params["better"] == scores.better
            assert value.params["seed"] == 3
            assert set(task.options) - {"other_text"} <= set(value.params)


def test_details_stand_once_a_task() -> None:
    result = mg.evaluate(pairs())
    with_details = [name for name, value in result.items() if value.details]
    assert with_details == [
        "mixed.text_ndcg10",
        "robustness.flat_accuracy",
        "calibration.image_text_auc",
        "answers.image_to_image_top1",
    ]
    assert result["robustness.flat_accuracy"].details["retrieved"] == "image"


def test_the_numbers_of_a_leaderboard_exist() -> None:
    plain, labelled = mg.evaluate(pairs()), mg.evaluate(prompts(), harmful=[0])
    for name, task in TASKS.items():
        assert task.card.name == task.name == name
        for main in (each.format("image", "text") for each in task.card.main):
            assert f"{name}.{main}" in plain or f"{name}.{main}" in labelled, main


def test_tasks_asked_for_by_name() -> None:
    assert {name.partition(".")[0] for name in mg.evaluate(pairs(), "retrieval")} == {"retrieval"}
    several = mg.evaluate(pairs(), ["mixed", "retrieval", "mixed"])
    assert list(dict.fromkeys(name.partition(".")[0] for name in several)) == [
        "retrieval",
        "mixed",
    ]
    assert several.skipped == {}
    assert set(mg.evaluate(pairs(), iter(["mixed"]))) == set(mg.evaluate(pairs(), {"mixed"}))


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_task_asked_for_that_does_not_apply(name: str) -> None:
    for tasks in (name, ["retrieval", name]):
        with pytest.raises(errors.NotApplicable, match=f"^{name}: it needs|^{name}: .*no classes"):
            mg.evaluate(pairs(), tasks)
    with pytest.raises(errors.NotApplicable, match=f"^{name}: "):
        TASKS[name](pairs())


def test_a_task_that_was_skipped_says_why() -> None:
    result = mg.evaluate(pairs())
    with pytest.raises(errors.NotApplicable, match="zero_shot was not measured: it needs labels"):
        _ = result["zero_shot"]
    with pytest.raises(errors.OptionError, match="did you mean 'retrieval"):
        _ = result["retrieval.image_to_text_r2"]


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("retreival", "unknown task 'retreival'; did you mean 'retrieval'"),
        (["mixed", "zero-shot"], "did you mean 'zero_shot'"),
        ("qqq", "known: answers, calibration, clustering"),
        ("", "unknown task ''"),
        ("retrieval,mixed", "unknown task"),
        ([], "at least one"),
        ((), "at least one"),
        (5, "only must be a string, a Task"),
        (True, "only must be a string, a Task"),
        ([None], "only must be a string, a Task"),
        ([1], "only must be a string, a Task"),
        ([["retrieval"]], "only must be a string, a Task"),
    ],
)
def test_unknown_tasks(tasks: Any, words: str) -> None:
    with pytest.raises(errors.OptionError, match=words):
        mg.evaluate(pairs(), tasks)


def test_unknown_options_and_those_of_other_tasks() -> None:
    with pytest.raises(errors.OptionError, match="unknown option 'sigma'; did you mean 'sigmas'"):
        mg.evaluate(pairs(), sigma=0.1)
    with pytest.raises(errors.OptionError, match="'sigmas' belongs to robustness; no such"):
        mg.evaluate(pairs(), "retrieval", sigmas=[0.1])
    with pytest.raises(errors.OptionError, match=r"unknown option of retrieval 'kss'; .* 'ks'"):
        evaluate.retrieval(pairs(), kss=1)
    with pytest.raises(errors.OptionError, match="unknown option of zero_shot"):
        evaluate.zero_shot(prompts(), ks=1)


def test_options_go_to_each_task_that_has_them() -> None:
    result = mg.evaluate(
        pairs(), ks=[2], k=3, ratios=[0.5], retrieved="text", sigmas=0.1, bins=[8], indexes=[],
        prior=0.2, max_rows=30,
    )  # fmt: skip
    assert "retrieval.image_to_text_r2" in result
    assert "mixed.text_ndcg3_50pct_images" in result
    assert "robustness.gaussian_0.1_rob" in result
    assert result["robustness.flat_accuracy"].details["queries"] == 30
    assert result["robustness.flat_accuracy"].params["retrieved"] == "text"
    assert result["calibration.image_text_auc"].params["prior"] == 0.2
    assert result["retrieval.image_to_text_r2"].params["ks"] == [2]
    assert {"max_rows", "k"}.isdisjoint(result["retrieval.image_to_text_r2"].params)
    assert (
        result["mixed.text_r1"].params["max_rows"]
        == result["clustering.modality_v"].params["max_rows"]
    )


def test_the_other_template_is_no_parameter() -> None:
    pair = pairs()
    result = mg.evaluate(pair, "robustness", other_text=pair.text, indexes=[])
    assert result["robustness.template_rob"].value == 1
    assert "other_text" not in result["robustness.template_rob"].params
    result.to_json()


@pytest.mark.parametrize("pair", ["x", None, 5, np.eye(4), Embeddings(np.eye(4))])
def test_what_is_no_pair(pair: Any) -> None:
    with pytest.raises(errors.InputError, match="must be a Pair"):
        mg.evaluate(pair)


@pytest.mark.parametrize("seed", ["0", None, True, -1, 1.5, math.nan, math.inf, [0]])
def test_seeds_that_are_none(seed: Any) -> None:
    with pytest.raises(errors.OptionError, match="seed must be"):
        mg.evaluate(pairs(), seed=seed)
