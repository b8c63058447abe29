"""Tasks against direct evaluation: retrieval, within, zero-shot, mixed, clustering, fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from evaluate.task_cases import Faces, Ints, numbers, pair_of
from numpy.typing import NDArray
from reference.cases import Case, Floats, random_case, two_cones, unit
from scipy.stats import entropy
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score, v_measure_score

from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Scores


def lower_median(values: Sequence[float]) -> float:
    return float(sorted(values)[(len(values) - 1) // 2])


def precisions(scores: Floats, relevant: Sequence[int]) -> dict[str, float]:
    """Of one query: every metric from the sorted list, no two scores being equal."""
    hits = np.isin(np.argsort(-scores), relevant)
    r = hits.sum()
    places = np.flatnonzero(hits) + 1
    at = [hits[:place].mean() for place in places]
    return {
        "first": float(places[0]),
        "map": float(np.mean(at)),
        "map_at_r": sum(p for p, place in zip(at, places, strict=True) if place <= r) / r,
        "r_precision": float(hits[:r].mean()),
        "r1": float(hits[0]),
    }


def directly_retrieved(case: Case, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    found: dict[str, float] = {}
    scores = case.x @ case.y.T
    matches = np.array(case.matches)
    for name, queries, asked in (
        ("image_to_text", scores, matches),
        ("text_to_image", scores.T, matches[:, ::-1]),
    ):
        each = [precisions(queries[q], asked[asked[:, 0] == q, 1]) for q in np.unique(asked[:, 0])]
        for k in ks:
            found[f"{name}_r{k}"] = float(np.mean([one["first"] <= k for one in each]))
        found[f"{name}_median_rank"] = lower_median([one["first"] for one in each])
        found[f"{name}_map"] = float(np.mean([one["map"] for one in each]))
    return found


# retrieval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pairs", "five captions", "uneven captions"])
@pytest.mark.parametrize("ks", [(1, 5, 10), (2,), (1, 1000)])
def test_retrieval(name: str, ks: tuple[int, ...]) -> None:
    case = random_case(name)
    found = evaluate.retrieval(pair_of(case), ks=ks)
    assert numbers(found) == pytest.approx(directly_retrieved(case, ks), abs=1e-9)
    for each, scores in found.scores.items():
        assert scores.better == ("lower" if "median" in each else "higher")


def test_retrieval_of_coco(coco: NDArray[np.float32]) -> None:
    found = numbers(evaluate.retrieval(Pair(*coco)))
    assert found["image_to_text_r1"] == 0.552
    assert found["text_to_image_r1"] == 0.506
    assert found == pytest.approx(directly_retrieved(Case(*coco)), abs=1e-9)


def test_captions_of_an_image_move_together() -> None:
    case = random_case("uneven captions")
    found = evaluate.retrieval(pair_of(case)).scores
    assert case.text_to_image is not None
    assert np.array_equal(found["text_to_image_r1"].clusters, case.text_to_image)
    assert np.array_equal(found["image_to_text_r1"].clusters, np.unique(case.text_to_image))


def test_retrieval_leaves_out_images_without_captions() -> None:
    images, texts = two_cones(30, 8, of=np.arange(40) % 20)
    found = evaluate.retrieval(Pair(images, texts, np.arange(40) % 20))
    expected = directly_retrieved(Case(images, texts, np.arange(40) % 20))
    assert len(found.scores["image_to_text_r1"].values) == 20
    assert numbers(found) == pytest.approx(expected, abs=1e-9)


def test_retrieval_does_not_depend_on_the_order_of_captions() -> None:
    case = random_case("uneven captions")
    order = np.random.default_rng(0).permutation(len(case.text))
    assert case.text_to_image is not None
    mixed_up = Pair(case.image, case.text[order], case.text_to_image[order])
    assert numbers(evaluate.retrieval(mixed_up)) == pytest.approx(
        numbers(evaluate.retrieval(pair_of(case)))
    )


def test_names_of_other_modalities() -> None:
    x, y = two_cones(20, 6)
    found = evaluate.retrieval(Pair(Embeddings(x, "audio"), Embeddings(y, "caption")))
    assert "audio_to_caption_r1" in found.scores
    assert "caption_to_audio_map" in found.scores


def test_class_prompts_are_no_captions() -> None:
    pair = pair_of(random_case("class prompts"))
    for task in (evaluate.retrieval, evaluate.mixed):
        with pytest.raises(errors.NotApplicable, match="class prompts"):
            task(pair)


def directly_within(rows: Floats, codes: Ints, name: str) -> dict[str, float]:
    each = []
    for i in range(len(rows)):
        others = np.delete(np.arange(len(rows)), i)
        relevant = np.flatnonzero(codes[others] == codes[i])
        if len(relevant):
            each.append(precisions(rows[others] @ rows[i], relevant.tolist()))
    metrics = ("map", "map_at_r", "r_precision", "r1")
    return {f"{name}_{metric}": float(np.mean([one[metric] for one in each])) for metric in metrics}


# within -------------------------------------------------------------------------------------------


def test_within_labels() -> None:
    case = random_case("class prompts")
    assert case.labels is not None
    expected = directly_within(case.x, case.labels, "image")
    found = numbers(evaluate.within(pair_of(case)))
    assert found == pytest.approx(expected | {"map": expected["image_map"]}, abs=1e-9)


@pytest.mark.parametrize("name", ["five captions", "uneven captions"])
def test_within_captions(name: str) -> None:
    case = random_case(name)
    assert case.text_to_image is not None
    expected = directly_within(case.y, case.text_to_image, "text")
    found = evaluate.within(pair_of(case))
    assert numbers(found) == pytest.approx(expected | {"map": expected["text_map"]}, abs=1e-9)
    counts = np.bincount(case.text_to_image)
    asking = np.flatnonzero(counts[case.text_to_image] > 1)
    assert np.array_equal(found.scores["text_map"].clusters, case.text_to_image[asking])


@pytest.mark.parametrize("factor", ["object", "colour", "size"])
def test_within_a_factor(factor: str) -> None:
    case = random_case("pairs")
    _, codes = np.unique(case.factors[factor], return_inverse=True)
    expected = directly_within(case.x, codes, "image") | directly_within(case.y, codes, "text")
    found = evaluate.within(pair_of(case), factor=factor)
    expected["map"] = expected["image_map"]
    assert numbers(found) == pytest.approx(expected, abs=3e-4)  # scores within 3e-7 are ties
    assert np.array_equal(found.scores["image_map"].clusters, np.arange(120))


def test_within_a_factor_of_one_side() -> None:
    x, y = two_cones(24, 6)
    codes = np.arange(24) % 5
    found = evaluate.within(
        Pair(x, Embeddings(y, "text", factors={"topic": codes})), factor="topic"
    )
    expected = directly_within(unit(y), codes, "text")
    assert numbers(found) == pytest.approx(expected | {"map": expected["text_map"]}, abs=1e-9)


def test_rows_alone_in_their_class_do_not_ask() -> None:
    x, y = two_cones(12, 6)
    codes = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    pair = Pair(Embeddings(x, factors={"kind": codes}), y)
    found = evaluate.within(pair, factor="kind")
    assert len(found.scores["image_map"].values) == 5
    assert numbers(found)["image_map"] == pytest.approx(
        directly_within(unit(x), codes, "image")["image_map"]
    )


def test_a_row_does_not_find_itself() -> None:
    # classes are of two, far apart, so that only itself would be near
    rows = np.random.default_rng(0).normal(size=(400, 64))
    pair = Pair(Embeddings(rows, factors={"kind": np.arange(400) // 2}), rows + 1)
    assert numbers(evaluate.within(pair, factor="kind"))["image_r1"] < 0.03


@pytest.mark.parametrize(
    ("pair", "options"),
    [
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4))), {}),
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4)), text_to_image=np.arange(9)), {}),
        (Pair(*np.random.default_rng(0).normal(size=(2, 9, 4))), {"factor": "colour"}),
        (Pair(np.eye(5), np.eye(5), labels=np.arange(5)), {}),
    ],
)
def test_within_needs_classes(pair: Pair, options: dict[str, Any]) -> None:
    with pytest.raises(errors.NotApplicable, match=r"^within: .*classes|^within: .*share a class"):
        evaluate.within(pair, **options)


# zero-shot ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", ["class prompts", "uneven classes"])
def test_zero_shot(name: str) -> None:
    case = uneven_classes() if name == "uneven classes" else random_case(name)
    assert case.labels is not None
    scores = case.x @ case.y.T
    classes, predicted = len(case.y), scores.argmax(1)
    counts = np.bincount(predicted, minlength=classes)
    shares = np.sort(counts) / counts.sum()
    lorenz = np.concatenate([[0], np.cumsum(shares)])
    found = evaluate.zero_shot(pair_of(case))
    first = np.argsort(-scores, axis=1)[:, :5]
    if name == "class prompts":  # sklearn warns where a class has no image
        assert top_k_accuracy_score(case.labels, scores, k=5) == numbers(found)["top5"]
    assert numbers(found) == pytest.approx(
        {
            "top1": (predicted == case.labels).mean(),
            "top5": np.mean([c in row for c, row in zip(case.labels, first, strict=True)]),
            "mean_per_class": balanced_accuracy_score(case.labels, predicted),
            "gini": 1 - (lorenz[1:] + lorenz[:-1]).mean(),
            "entropy": entropy(counts) / np.log(classes),
        },
        abs=1e-9,
    )
    true = np.bincount(case.labels, minlength=classes)
    differences = np.abs(true[:, None] - true[None]).mean()
    assert found.details["label_gini"] == pytest.approx(differences / (2 * true.mean()))
    assert found.details["label_entropy"] == pytest.approx(entropy(true) / np.log(classes))
    better = {each: one.better for each, one in found.scores.items()}
    assert better["gini"] == "lower"
    assert {*better.values()} == {"higher", "lower"}


def uneven_classes() -> Case:
    """Of 9 classes one has no image and one has most."""
    random = np.random.default_rng(4)
    prompts = random.normal(size=(9, 7))
    labels = random.choice(9, 150, p=[0.5, 0.1, 0, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    return Case(prompts[labels] + 1.5 * random.normal(size=(150, 7)), prompts, labels=labels)


def test_fewer_classes_than_five() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 12, 4))
    found = numbers(evaluate.zero_shot(Pair(x, y[:3], labels=np.arange(12) % 3)))
    assert found["top5"] == 1.0


def test_equal_prompts_classify_nothing() -> None:
    pair = Pair(np.ones((12, 16)), np.ones((6, 16)), labels=np.arange(12) % 6)
    found = numbers(evaluate.zero_shot(pair))
    assert found["top1"] == found["top5"] == found["mean_per_class"] == found["entropy"] == 0
    assert found["gini"] == pytest.approx(5 / 6)


def every_score() -> dict[str, Scores]:
    """All numbers of all tasks that can be resampled."""
    faces, case = Faces(), random_case("uneven captions")
    captions, pairs = pair_of(case), pair_of(random_case("pairs"))
    found: dict[str, Scores] = {}
    for name, task in evaluate.TASKS.items():
        own: dict[str, Any] = {"fairness": {"harmful": [5]}, "robustness": {"indexes": []}}.get(
            name, {}
        )
        if "factor" in task.options:
            own["factor"] = "object"
        pair = {"fairness": faces.pair, "zero_shot": faces.pair, "retrieval": captions}.get(
            name, pairs
        )
        found |= {f"{name}.{key}": scores for key, scores in task(pair, **own).scores.items()}
    return found


# every number -------------------------------------------------------------------------------------


def test_a_weight_is_as_good_as_repetition() -> None:
    random = np.random.default_rng(0)
    several = every_score()
    assert len(several) > 80
    assert {name.split(".")[0] for name in several} == set(evaluate.TASKS)
    for name, scores in several.items():
        if scores.clusters is None:
            continue
        assert len(scores.clusters) == len(scores.values), name
        for _ in range(3):
            times = random.integers(0, 4, len(scores.values))
            repeated = np.repeat(scores.values, times, axis=0)
            assert scores.statistic(scores.values, times.astype(float)) == pytest.approx(
                scores.statistic(repeated, np.ones(len(repeated))), abs=1e-12
            ), name


def test_weighted_statistics_against_libraries() -> None:
    random = np.random.default_rng(1)
    several = every_score()

    def both(name: str) -> tuple[float, NDArray[Any]]:
        scores = several[name]
        times = random.integers(0, 4, len(scores.values))
        return (
            scores.statistic(scores.values, times.astype(float)),
            np.repeat(scores.values, times, axis=0),
        )

    for name in ("retrieval.text_to_image_median_rank", "retrieval.image_to_text_median_rank"):
        value, rows = both(name)
        assert value == lower_median(rows.tolist())
    value, rows = both("zero_shot.mean_per_class")
    each = [rows[rows[:, 1] == code, 0].mean() for code in np.unique(rows[:, 1])]
    assert value == pytest.approx(np.mean(each))
    value, rows = both("clustering.image_class_v")
    assert value == pytest.approx(v_measure_score(rows[:, 0], rows[:, 1]), abs=1e-9)
    value, rows = both("zero_shot.entropy")
    assert value == pytest.approx(entropy(np.bincount(rows, minlength=6)) / np.log(6))
    value, rows = both("zero_shot.gini")
    counts = np.bincount(rows, minlength=6)
    differences = np.abs(counts[:, None] - counts[None]).mean()
    assert value == pytest.approx(differences / (2 * counts.mean()))
    value, rows = both("fairness.largest_difference")
    rates = [rows[rows[:, 1] == code, 0].mean() for code in np.unique(rows[:, 1])]
    assert value == pytest.approx(max(rates) - min(rates))
    value, rows = both("mixed.text_ndcg10")
    assert value == pytest.approx(rows.mean())
