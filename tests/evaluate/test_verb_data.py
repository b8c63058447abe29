"""The verb, the intervals of its numbers, and whatever data or options it may be given."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from evaluate.verb_cases import Floats, captions, pairs, prompts
from numpy.typing import NDArray

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import TASKS

# results ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pairs, captions, prompts])
def test_json_is_standard_and_whole(make: Callable[[], Pair]) -> None:
    options: dict[str, Any] = {"harmful": [0], "shares": (2, 1, 1), "factor": None}
    result = mg.evaluate(make(), **options)
    text = result.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    found = json.loads(text)
    assert found == {"schema": "result/1", **json.loads(json.dumps(result.to_dict()))}
    assert set(found) == {"schema", "measures", "skipped", "pair", "versions"}
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


# odd data -----------------------------------------------------------------------------------------


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


# odd options --------------------------------------------------------------------------------------


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
        ("robustness", "sigmas", [math.nan], "sigmas must be a finite number"),
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
