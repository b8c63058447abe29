"""Tasks against direct evaluation: retrieval, within, zero-shot, mixed, clustering, fairness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evaluate.task_cases import Faces, Ints, numbers, pair_of
from reference.cases import Case, Floats, random_case, two_cones, unit
from sklearn.cluster import KMeans
from sklearn.metrics import v_measure_score

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair


def kmeans(rows: Floats, k: int, seed: int) -> Ints:
    return np.asarray(KMeans(k, n_init=4, random_state=seed).fit_predict(rows.astype(np.float32)))


def blobs(classes: int = 4, each: int = 20, gap: float = 3.0) -> Case:
    random = np.random.default_rng(0)
    labels = np.arange(classes * each) % classes
    centres = random.normal(size=(classes, 10))
    prompts = centres + gap * np.eye(10)[0]
    return Case(
        centres[labels] + 0.2 * random.normal(size=(len(labels), 10)), prompts, labels=labels
    )


# clustering ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 5])
def test_clusters_against_sklearn(seed: int) -> None:
    case = random_case("pairs")
    truth = np.repeat([0, 1], [len(case.x), len(case.y)])
    expected = v_measure_score(truth, kmeans(np.concatenate([case.x, case.y]), 2, seed))
    assert numbers(evaluate.clustering(pair_of(case), seed=seed)) == pytest.approx(
        {"modality_v": expected}, abs=1e-9
    )


def test_clusters_of_classes() -> None:
    case = blobs()
    assert case.labels is not None
    found = numbers(evaluate.clustering(pair_of(case)))
    expected = v_measure_score(case.labels, kmeans(case.x, 4, 0))
    assert found["image_class_v"] == pytest.approx(expected, abs=1e-9)
    assert found["image_class_v"] > 0.9


@pytest.mark.parametrize("factor", ["object", "colour"])
def test_clusters_of_a_factor(factor: str) -> None:
    case = random_case("pairs")
    found = numbers(evaluate.clustering(pair_of(case), factor=factor))
    values = case.factors[factor]
    expected = v_measure_score(values, kmeans(case.x, len(np.unique(values)), 0))
    assert found["image_class_v"] == pytest.approx(expected, abs=1e-9)


def test_clusters_are_the_modalities_until_the_gap_is_closed() -> None:
    x, y = two_cones(80, 10, noise=0.3)
    apart = Pair(unit(x) + 2 * np.eye(10)[0], unit(y) - 2 * np.eye(10)[0])
    found = evaluate.clustering(apart)
    assert numbers(found) == {"modality_v": 1.0}
    assert found.scores["modality_v"].better == "lower"
    assert found.scores["modality_v"].interval(0) == (1.0, 1.0)
    assert numbers(evaluate.clustering(mg.close(apart, "center")))["modality_v"] < 0.2


def test_clusters_of_a_sample() -> None:
    case = blobs(each=30)
    assert case.labels is not None
    found = evaluate.clustering(pair_of(case), max_rows=50, seed=2)
    chosen = np.sort(np.random.default_rng(2).choice(120, 50, replace=False))
    expected = v_measure_score(case.labels[chosen], kmeans(case.x[chosen], 4, 2))
    assert numbers(found)["image_class_v"] == pytest.approx(expected, abs=1e-9)
    assert len(found.scores["modality_v"].values) == 50 + 4


@pytest.mark.parametrize("labels", [np.zeros(12, int), np.arange(12)])
def test_one_class_or_one_an_image_is_no_clustering(labels: Ints) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 12, 4))
    assert set(evaluate.clustering(Pair(x, y, labels=labels)).scores) == {"modality_v"}


# fairness -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [(4, 5), (5,), (0, 1, 2, 3, 4, 5)])
def test_fairness_by_name_and_by_number(bad: tuple[int, ...]) -> None:
    faces = Faces()
    expected = faces.numbers(faces.groups, bad)
    by_number = evaluate.fairness(faces.pair, harmful=bad)
    assert numbers(by_number) == pytest.approx(expected)
    by_name = evaluate.fairness(faces.pair, harmful=[faces.words[i] for i in reversed(bad)])
    assert numbers(by_name) == numbers(by_number)
    assert by_name.details == by_number.details
    assert by_name.details["harmful"] == list(bad)
    counts = dict(zip(*np.unique(faces.groups, return_counts=True), strict=True))
    assert by_name.details["groups"] == counts
    better = {name: scores.better for name, scores in by_name.scores.items()}
    assert better.pop("accuracy") == "higher"
    assert set(better.values()) == {"lower"}


def test_fairness_of_another_group_and_one_prompt() -> None:
    faces = Faces(names=False)
    found = numbers(evaluate.fairness(faces.pair, group="sex", harmful=4))
    assert found == pytest.approx(faces.numbers(np.arange(90) % 2, [4]))
    twice = numbers(evaluate.fairness(faces.pair, group="sex", harmful=[4, 4]))
    assert twice == found


def test_fairness_of_captions_knows_no_accuracy() -> None:
    faces = Faces()
    pair = Pair(faces.pair.image, faces.pair.text, text_to_image=np.arange(6))
    assert "accuracy" not in evaluate.fairness(pair, harmful=[5]).scores


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, errors.NotApplicable, "harmful"),
        ({"harmful": []}, errors.NotApplicable, "harmful"),
        ({"harmful": None}, errors.NotApplicable, "harmful"),
        ({"harmful": [5], "group": "age"}, errors.NotApplicable, "'age'.*race, sex"),
        ({"harmful": [6]}, errors.OptionError, "0 … 5"),
        ({"harmful": [-1]}, errors.OptionError, "0 … 5"),
        (
            {"harmful": "a photo of a thife"},
            errors.OptionError,
            "did you mean 'a photo of a thief'",
        ),
        ({"harmful": [True]}, errors.OptionError, "True"),
        ({"harmful": [None]}, errors.OptionError, "None"),
        ({"harmful": {"a": 1}}, errors.OptionError, "harmful"),
    ],
)
def test_fairness_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        evaluate.fairness(Faces().pair, **options)


def test_fairness_needs_names_and_groups() -> None:
    with pytest.raises(errors.NotApplicable, match="row numbers"):
        evaluate.fairness(Faces(names=False).pair, harmful=["thief"])
    faces = Faces()
    same = Embeddings(faces.pair.image.unit(), factors={"race": ["x"] * 90})
    with pytest.raises(errors.NotApplicable, match="one race"):
        evaluate.fairness(Pair(same, faces.prompts, labels=faces.labels), harmful=[1])
