"""The verb, the intervals of its numbers, and whatever data or options it may be given."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import two_cones
from sklearn.metrics import balanced_accuracy_score, v_measure_score

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import TASKS, Outcome, Scores
from modalgap.evaluate.base import mean, median
from modalgap.evaluate.clustering import v_measure
from modalgap.evaluate.zero_shot import mean_per_class

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEEDS = {"zero_shot", "within", "fairness"}  # of what plain pairs lack


def pairs(n: int = 40, d: int = 8) -> Pair:
    return Pair(*two_cones(n, d))


def captions() -> Pair:
    of = np.arange(60) // 2
    return Pair(*two_cones(30, 8, of=of), of)


def prompts() -> Pair:
    """Everything that any task needs: labels, factors, names."""
    random = np.random.default_rng(0)
    words, labels = random.normal(size=(6, 8)), np.arange(60) % 6
    factors = {"race": np.array(["a", "b", "c"])[np.arange(60) // 20], "object": np.arange(60) % 4}
    image = Embeddings(words[labels] + random.normal(size=(60, 8)), factors=factors)
    return Pair(image, Embeddings(words, "text", names=list("uvwxyz")), labels=labels)


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


# scores --------------------------------------------------------------------------------------


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


# names and reasons ---------------------------------------------------------------------------


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
        ("qqq", "known: calibration, clustering"),
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


# results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pairs, captions, prompts])
def test_json_is_standard_and_whole(make: Callable[[], Pair]) -> None:
    options: dict[str, Any] = {"harmful": [0], "shares": (2, 1, 1), "factor": None}
    result = mg.evaluate(make(), **options)
    text = result.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    found = json.loads(text)
    assert found == json.loads(json.dumps(result.to_dict()))
    assert set(found) == {"measures", "skipped", "pair", "versions"}
    assert list(found["measures"]) == list(result)
    for name, value in found["measures"].items():
        assert value["value"] == result[name].value == float(result[name])
        interval = result[name].interval
        assert value["interval"] == (None if interval is None else list(interval))
        assert value["params"] == json.loads(json.dumps(dict(result[name].params)))
        assert name in str(result)
    assert found["skipped"] == dict(result.skipped)


def test_intervals_hold_their_values(coco: NDArray[np.float32]) -> None:
    result = mg.evaluate(Pair(*coco))
    with_interval = {name: value for name, value in result.items() if value.interval is not None}
    assert set(result) - set(with_interval) == {
        "calibration.image_text_auc",
        "calibration.image_text_threshold",
    }
    for name, value in with_interval.items():
        assert value.interval is not None
        low, high = value.interval
        # calibration error is biased upwards by resampling: a wider margin
        margin = 0.02 if "ece" in name else 1e-9
        assert low - margin <= value.value <= high + margin, name
        assert 0 <= low <= high, name
    assert result["retrieval.image_to_text_r1"].value == 0.552
    low, high = result["retrieval.image_to_text_r1"].interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.552 * 0.448 / 500), rel=0.1)


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, two, other = (mg.evaluate(captions(), seed=seed).to_dict() for seed in (1, 1, 2))
    assert one == two
    assert one["measures"] != other["measures"]
    same = [
        name
        for name, value in one["measures"].items()
        if value["interval"] and value["interval"] == other["measures"][name]["interval"]
    ]
    assert not [name for name in same if "map" in name or "ece" in name]
    exact = [name for name in one["measures"] if name.startswith("retrieval")]
    for name in exact:  # nothing random but the interval
        assert one["measures"][name]["value"] == other["measures"][name]["value"]


def test_order_of_tasks_does_not_matter() -> None:
    whole = mg.evaluate(captions(), seed=1)
    for name in ("clustering", "mixed", "calibration"):
        for key, value in mg.evaluate(captions(), name, seed=1).items():
            assert (value.value, value.interval) == (whole[key].value, whole[key].interval)


def test_inputs_are_not_changed() -> None:
    pair = captions()
    before = pair.image.unit().clone(), pair.text.unit().clone()
    mg.evaluate(pair)
    assert bool((pair.image.unit() == before[0]).all())
    assert bool((pair.text.unit() == before[1]).all())


def test_files_give_what_arrays_give(tmp_path: Any) -> None:
    path = mg.save(captions(), tmp_path / "captions.safetensors")
    expected = mg.evaluate(captions(), ["retrieval", "mixed", "robustness", "calibration"])
    found = mg.evaluate(mg.load(path), ["retrieval", "mixed", "robustness", "calibration"])
    assert {name: value.value for name, value in found.items()} == pytest.approx(
        {name: value.value for name, value in expected.items()}, abs=1e-6
    )


@pytest.mark.parametrize("name", TASKS)
def test_tasks_describe_themselves(name: str) -> None:
    task = TASKS[name]
    for text in (task.card.title, task.card.question, task.card.idea, task.card.source):
        assert text.strip() == text != ""
    assert task.card.question.endswith("?")
    assert task.card.main
    assert task.card.question in task.__doc__
    documented = inspect.getdoc(task.run) or ""
    for option in task.options:
        if option != "factor" or name == "within":
            assert f"``{option}``" in documented
    assert getattr(evaluate, name) is task


# odd data ------------------------------------------------------------------------------------


def with_factors(values: Any) -> Pair:
    x, y = np.random.default_rng(0).normal(size=(2, 6, 3))
    factors = {"race": list(values), "object": list(values)}
    return Pair(Embeddings(x, factors=factors), Embeddings(y, "text", factors=factors))


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape)


EDGES: dict[str, Callable[[], Pair]] = {
    "two rows": lambda: Pair(normal(2, 9), normal(2, 9, seed=1)),
    "two rows of a basis": lambda: Pair(np.eye(3)[:2], np.eye(3)[1:]),
    "two rows, one column": lambda: Pair([[1.0], [-2.0]], [[0.5], [3.0]]),
    "three rows": lambda: Pair(normal(3, 9), normal(3, 9, seed=1)),
    "one column": lambda: Pair([[1.0], [-2.0]] * 9, [[0.5], [3.0], [-1.0]] * 6),
    "equal rows": lambda: Pair(np.ones((20, 4)), np.ones((20, 4))),
    "opposite points": lambda: Pair(np.ones((20, 4)), -np.ones((20, 4))),
    "one side a point": lambda: Pair(np.ones((20, 4)), normal(20, 4)),
    "rows of a basis": lambda: Pair(np.eye(12), np.eye(12)[::-1]),
    "few rows of many columns": lambda: Pair(normal(6, 300), normal(6, 300, seed=1)),
    "equal modalities": lambda: Pair(normal(30, 5), normal(30, 5)),
    "almost equal rows": lambda: Pair(1 + 1e-6 * normal(40, 8), 1 + 1e-6 * normal(40, 8, seed=1)),
    "texts of one image": lambda: Pair(*normal(2, 14, 5), text_to_image=np.zeros(14, int)),
    "texts of two images": lambda: Pair(*normal(2, 14, 5), text_to_image=np.arange(14) % 2),
    "images without texts": lambda: Pair(normal(20, 5), normal(14, 5), np.arange(14) % 7),
    "one text for two images": lambda: Pair(normal(2, 5), normal(7, 5, seed=1), labels=[3, 3]),
    "one label": lambda: Pair(normal(14, 5), np.eye(5)[:3], labels=np.ones(14, int)),
    "two prompts": lambda: Pair(np.eye(5), np.eye(5)[:2], labels=[0, 1, 1, 0, 1]),
    "prompts that are the images": lambda: Pair(np.eye(5), np.eye(5), labels=np.arange(5)),
    "classes that are points": lambda: Pair(
        np.repeat(np.eye(4), 10, 0), np.eye(4), labels=np.arange(40) // 10
    ),
    "a factor of one value": lambda: with_factors([0] * 6),
    "a factor of all values": lambda: with_factors(range(6)),
    "a factor that repeats once": lambda: with_factors([0, 0, 1, 2, 3, 4]),
    "groups with odd names": lambda: with_factors(["", "a\nb", "[red]", "é", "", "a.b"]),
}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "within": [{}, {"factor": "object"}],
    "clustering": [{}, {"factor": "object"}],
    "calibration": [{}, {"factor": "object"}, {"prior": 0.01, "precision": 0.3}],
    "fairness": [{}, {"harmful": [0]}, {"harmful": [0, 1]}],
    "robustness": [{}, {"retrieved": "text"}, {"max_rows": 2}],
    "mixed": [{}, {"shares": (0, 0, 1), "max_rows": 2}, {"k": 1}],
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", TASKS)
def test_odd_data_give_numbers_or_a_reason(name: str, edge: str) -> None:
    pair = EDGES[edge]()
    for options in OPTIONS.get(name, [{}]):
        try:
            result = mg.evaluate(pair, name, **options)
        except (errors.NotApplicable, errors.OptionError) as reason:
            words = str(reason)
            assert words.startswith((f"{name}: ", "retrieved: ")), words
            continue
        assert len(result) > 0
        json.loads(result.to_json())
        for key, value in result.items():
            assert math.isfinite(value.value), key
            if value.interval is not None:
                assert all(map(math.isfinite, value.interval)), key
            if "rank" not in key and "threshold" not in key:
                assert -1e-9 <= value.value <= 1 + 1e-9, key


@pytest.mark.parametrize("edge", EDGES)
def test_odd_data_are_evaluated_as_a_whole(edge: str) -> None:
    result = mg.evaluate(EDGES[edge](), indexes=[])
    done = {name.partition(".")[0] for name in result}
    assert done | set(result.skipped) == set(TASKS)
    assert done.isdisjoint(result.skipped)
    assert "clustering" in done


# odd options ---------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    "x", "", None, True, False, -1, 0, 1, 2, 7, 0.5, -0.5, 1.5, 1e-300,
    math.inf, -math.inf, math.nan, 10**30, object(), 1j,
)  # fmt: skip
ODD_LISTS: tuple[Any, ...] = (
    [], (), [[]], ["x"], [None], [True], [-1], [0], [1], [1, 1], [0.5], [2.5], [math.nan],
    [math.inf], [[1, 2]], {}, {"a": 1}, set(), {1}, [1, 1, 1], [0, 0, 0], (0, 0, 1),
    [1, 1, math.nan], [1e308] * 3, [-1, 1, 1], ["x", 1], [1j], ["u"], "u", ["u", "zz"], [5, 0],
)  # fmt: skip
TAKES_A_NAME = {"factor", "group"}  # a list there is not tried
NOT_TRIED: dict[str, list[Any]] = {  # beyond what memory, or float32, can hold
    "bins": [10**30],
    "negatives": [10**30],
    "sigmas": [[1e308] * 3],
}
SMALL: dict[str, dict[str, Any]] = {
    "robustness": {"sigmas": [0.1], "bins": [4], "indexes": ["sq8"]},
    "fairness": {"harmful": [1]},
}


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in TASKS for option in TASKS[name].options]
)
@pytest.mark.parametrize("make", [pairs, captions, prompts])
def test_odd_options_are_refused_or_mean_something(
    make: Callable[[], Pair], name: str, option: str
) -> None:
    pair, refused = make(), 0
    values = ODD if option in TAKES_A_NAME else (*ODD, *ODD_LISTS)
    for value in values:
        if value in NOT_TRIED.get(option, ()):
            continue
        try:
            found = TASKS[name](pair, **{**SMALL.get(name, {}), option: value})
        except (errors.InputError, errors.NotApplicable) as reason:
            assert "\n" not in str(reason)
            refused += 1
            continue
        for key, scores in found.scores.items():
            assert math.isfinite(scores.value), (value, key)
        json.dumps(dict(found.details), allow_nan=False)
    assert refused > 0 or option in TAKES_A_NAME


@pytest.mark.parametrize(
    ("name", "option", "value", "words"),
    [
        ("retrieval", "ks", [0], "ks must be an integer of at least 1; got 0"),
        ("retrieval", "ks", 1.5, "ks must be an integer"),
        ("retrieval", "ks", None, "ks must be a list; got None"),
        ("retrieval", "ks", "1", "ks must be an integer"),
        ("mixed", "shares", [1, 1], "shares must be three numbers"),
        ("mixed", "shares", [0, 0, 0], "shares must be three numbers"),
        ("mixed", "shares", [1, -1, 1], "shares must be three numbers"),
        ("mixed", "shares", "111", "shares must be three numbers"),
        ("mixed", "ratios", [1.1], "ratios must be numbers from 0 to 1; got 1.1"),
        ("mixed", "ratios", [True], "ratios must be numbers"),
        ("mixed", "k", 0, "k must be an integer of at least 1"),
        ("mixed", "max_rows", 1, "max_rows must be an integer of at least 2"),
        ("robustness", "sigmas", [-0.1], "sigmas must be a number of at least"),
        ("robustness", "sigmas", [math.nan], "sigmas must be a number"),
        ("robustness", "sigmas", ["0.1"], "sigmas must be a number"),
        ("robustness", "bins", [1], "bins must be an integer of at least 2"),
        ("robustness", "indexes", "sq9", "indexes must be one of sq8, sq4"),
        ("robustness", "indexes", "PQ8x4", "indexes must be one of"),
        ("robustness", "noise_on", "text", "noise_on must be one of both, index, queries"),
        ("robustness", "retrieved", "texts", "retrieved must be one of image, text"),
        ("robustness", "max_rows", 1, "max_rows must be"),
        ("robustness", "seed", -1, "seed must be"),
        ("clustering", "max_rows", 2.0, "max_rows must be"),
        ("clustering", "seed", "0", "seed must be"),
        ("calibration", "prior", 0, "prior must be a number between 0 and 1"),
        ("calibration", "prior", "a", "prior must be"),
        ("calibration", "precision", 0, "precision must be a number above 0"),
        ("calibration", "precision", True, "precision must be"),
        ("calibration", "negatives", 0, "negatives must be an integer of at least 1"),
        ("calibration", "seed", 0.5, "seed must be"),
    ],
)
def test_refusals_name_the_option(name: str, option: str, value: Any, words: str) -> None:
    with pytest.raises(errors.OptionError, match=f"^{words}"):
        TASKS[name](pairs(), **{option: value})
    with pytest.raises(errors.OptionError, match=f"^{words}"):
        mg.evaluate(pairs(), **{option: value})


def test_empty_lists_leave_the_rest() -> None:
    found = mg.evaluate(pairs(), ks=[], ratios=[], sigmas=[], bins=[], indexes=[])
    assert "retrieval.image_to_text_map" in found
    assert "mixed.text_ndcg10" in found
    assert "robustness.int8_rob" in found
    assert not [name for name in found if "_r5" in name or "pct" in name or "gaussian" in name]
