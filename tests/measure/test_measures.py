"""Every measure against an independent evaluation, on random and on real embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import find_shared
from numpy.typing import NDArray
from reference import direct, pinned
from reference.cases import RANDOM, REAL, Case, random_case, real_case
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.measure import MEASURES
from modalgap.measure.classifier import folds, logistic
from modalgap.measure.kendall_tau import tau_b
from modalgap.measure.principal_angles import principal_angles_of

NEED_LABELS, NEED_FACTORS = (
    {
        name
        for each in MEASURES.values()
        if need in each.card.needs
        for name in each.names(("image", "text"))
    }
    for need in ("labels", "factors")
)
REFUSE_LABELS = {"nas", "infonce", "loss_landscape"}
SAMPLED = {name for name, each in MEASURES.items() if "sampled" in each.card.traits}
SLOW_DIRECTLY = {"itr", "tir", "tmr", "imr"}  # a sort of the whole pool for each query


@functools.cache
def case_of(name: str) -> Case:
    if name in RANDOM:
        return random_case(name)
    return real_case(name, np.load(find_shared("clip_coco500.npy")))


def pair_of(case: Case) -> Pair:
    sides = (
        Embeddings(rows, modality, factors=case.factors)
        for rows, modality in ((case.image, "image"), (case.text, "text"))
    )
    return Pair(*sides, text_to_image=case.text_to_image, labels=case.labels)


@functools.cache
def result_of(name: str) -> mg.Result:
    return mg.measure(pair_of(case_of(name)))


def expected_names(name: str) -> set[str]:
    case = case_of(name)
    names = set(direct.REFERENCES)
    names -= NEED_LABELS if case.labels is None else REFUSE_LABELS
    return names if case.factors else names - NEED_FACTORS


def compared(name: str) -> list[str]:
    without = SLOW_DIRECTLY | SAMPLED if name == "long" else set()
    labels = {True: REFUSE_LABELS, False: NEED_LABELS}[name in ("class prompts", "coco prompts")]
    without = without | labels | (set() if name == "pairs" else NEED_FACTORS)
    return [each for each in direct.REFERENCES if each not in without]


@pytest.mark.parametrize("case", [*RANDOM, *REAL])
def test_all_that_applies_is_measured(case: str) -> None:
    assert set(result_of(case)) == expected_names(case)
    assert set(compared(case)) <= expected_names(case)


def test_every_measure_has_a_reference() -> None:
    names = {name for each in MEASURES.values() for name in each.names(("image", "text"))}
    assert names == set(direct.REFERENCES)


TOLERANCE: dict[str, dict[str, float]] = {
    # cosines in float32, divided by the temperature
    "infonce": {"rel": 2e-5},
    "logit_entropy_image": {"rel": 2e-5},
    "logit_entropy_text": {"rel": 2e-5},
    # arccos and square roots near zero
    "principal_angles": {"rel": 2e-5, "abs": 1e-5},
    "distribution_gap": {"rel": 1e-4},
}


@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case in (*RANDOM, *REAL) for name in compared(case)]
)
def test_against_direct_evaluation(case: str, name: str) -> None:
    expected = direct.REFERENCES[name](case_of(case))
    found = result_of(case)[name].value
    if name == "separability" and case not in ("pairs", "coco pairs"):
        # other folds, and where the sides differ in number other rows of the longer
        assert found == pytest.approx(expected, abs=0.2 if case.endswith("prompts") else 0.06)
        return
    assert found == pytest.approx(expected, **TOLERANCE.get(name, {"rel": 3e-6, "abs": 1e-7}))


@pytest.mark.parametrize("library", [direct.frechet_by_sqrtm, direct.frechet_by_pot])
@pytest.mark.parametrize("case", ["pairs", "five captions", "uneven captions", "long"])
def test_frechet_against_libraries(case: str, library: Callable[[Case], float]) -> None:
    assert result_of(case)["frechet"].value == pytest.approx(library(case_of(case)), rel=1e-5)


@pytest.mark.parametrize("library", [direct.frechet_by_sqrtm, direct.frechet_by_pot])
def test_frechet_of_real_data_against_libraries(
    coco: NDArray[np.float32], library: Callable[[Case], float]
) -> None:
    case = Case(coco[0][:, :60], coco[1][:, :60])  # more rows than dimensions
    found = mg.measure.frechet(case.image, case.text)
    assert found.value == pytest.approx(library(case), rel=1e-5)


def test_directions_that_few_rows_cannot_have() -> None:
    # products in float32 leave variance of 1e-6 in others; its roots and directions must not count
    random = np.random.default_rng(0)
    labels = np.arange(90) % 5
    prompts = random.normal(size=(5, 64)) + 1
    case = Case(prompts[labels] + random.normal(size=(90, 64)), prompts, labels=labels)
    result = mg.measure(pair_of(case))
    assert result["principal_angles"].params["used"] == 4
    repeated = Case(np.repeat(case.image[:8], 20, 0), np.repeat(case.text, 32, 0))
    again = mg.measure(pair_of(repeated))
    assert again["principal_angles"].params["used"] == 4
    for each, found, near in ((case, result, 3e-6), (repeated, again, 1e-3)):
        for name in ("frechet", "effective_rank_text", "principal_angles"):
            assert found[name].value == pytest.approx(direct.REFERENCES[name](each), rel=near)


def test_the_direct_kendall_counts_agree() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    assert direct.discordant(a, b) == pytest.approx(direct.tau_b_distance(a, b), abs=1e-12)


def test_kendall_tau_with_ties() -> None:
    # corners of a hypercube: many cosines are equal, and exactly so in floating point
    signs = np.array(np.meshgrid(*[[-0.5, 0.5]] * 4)).reshape(4, 16).T
    text = np.random.default_rng(0).normal(size=(16, 4))
    found = mg.measure.kendall_tau(signs, text)
    assert found.value == pytest.approx(direct.kendall_tau(Case(signs, text)), abs=1e-6)
    with pytest.raises(errors.NotApplicable):  # every order is a tie
        mg.measure.kendall_tau(np.eye(6), np.random.default_rng(0).normal(size=(6, 6)))


def test_separability_of_a_weak_gap_against_sklearn() -> None:
    # here the penalty matters, and with it the scale of the rows
    random = np.random.default_rng(0)
    image = random.normal(size=(300, 40))
    case = Case(image, random.normal(size=(300, 40)) + 0.1 * random.normal(size=40))
    found = mg.measure.separability(case.image, case.text)
    assert found.value == pytest.approx(direct.separability(case), abs=1e-12)
    assert found.value < 0.7


def test_separability_keeps_an_image_and_its_captions_in_one_fold() -> None:
    # one distribution, but each text five times: only remembering could tell them apart
    random = np.random.default_rng(0)
    of = np.arange(20).repeat(5)
    image, text = random.normal(size=(100, 60)), random.normal(size=(20, 60))[of]
    text = text + 0.01 * random.normal(size=(100, 60))
    assert mg.measure.separability(image, text, text_to_image=of).value < 0.7
    assert mg.measure.separability(image, text).value > 0.8


@pytest.mark.parametrize("name", ["nas", "hubness_image", "itr", "imr"])
def test_neighbours_of_a_sample(name: str) -> None:
    case = case_of("pairs")
    chosen = np.sort(np.random.default_rng(3).choice(120, 70, replace=False))
    expected = direct.REFERENCES[name](Case(case.image[chosen], case.text[chosen]))
    found = mg.measure(Pair(case.image, case.text), only=name, max_rows=70, seed=3)
    assert found[name].value == pytest.approx(expected)


def test_details_that_people_read() -> None:
    case, result = case_of("uneven captions"), result_of("uneven captions")
    noise = sum(rows.var(0, ddof=1).sum() / len(rows) for rows in (case.x, case.y)) ** 0.5
    assert result["l2m"].details["noise"] == pytest.approx(noise, rel=1e-5)
    gap = direct.gap(case)
    found = result["per_dimension_gap"].details
    assert found["dimensions"] == np.argsort(-np.abs(gap)).tolist()
    assert found["differences"] == pytest.approx(gap[found["dimensions"]], abs=1e-7)
    shares = result["gap_concentration"].details
    assert shares["top"] == [1, 2, 5, 10, 20]
    squares = np.sort(gap**2)[::-1].cumsum() / (gap**2).sum()
    assert shares["share"] == pytest.approx([squares[k - 1] for k in shares["top"]], rel=1e-5)
    assert result["nas"].details["chance"] == pytest.approx(10 / (len(case.first) - 1))
    entropy = result["logit_entropy_image"].details
    assert entropy["candidates"] == len(case.y)
    assert entropy["highest"] == pytest.approx(np.log(len(case.y)))
    angles = result["principal_angles"].details["angles"]
    assert len(angles) == 10
    assert angles == sorted(angles)


def test_leakage_details() -> None:
    case, found = case_of("coco pairs"), result_of("coco pairs")["leakage_text"].details
    variances, _ = direct.principal(case.y)
    k = int((variances.cumsum() / variances.sum() < 0.9).sum()) + 1
    assert found["directions"] == k
    assert found["chance"] == pytest.approx(np.sqrt(k / 512))


def test_prediction_details() -> None:
    case = case_of("class prompts")
    predicted = (case.x @ case.y.T).argmax(1)
    labels = np.bincount(case.labels, minlength=12).astype(float)
    found = result_of("class prompts")
    for name in ("prediction_gini", "prediction_entropy"):
        assert found[name].details["accuracy"] == pytest.approx((predicted == case.labels).mean())
    assert found["prediction_gini"].details["labels"] == pytest.approx(direct.gini(labels))


def test_moad_details() -> None:
    case, found = case_of("pairs"), result_of("pairs")["moad_image"].details
    assert set(found) == {"object", "colour", "size"}
    other = {"object": case.factors["colour"], "size": case.factors["size"]}
    assert found["colour"] - found["size"] == pytest.approx(direct.moad(case.x, other), abs=1e-7)


def test_moad_object_factor() -> None:
    case = case_of("pairs")
    renamed = {"shape" if name == "object" else name: v for name, v in case.factors.items()}
    with pytest.raises(errors.NotApplicable, match="'object'"):
        mg.measure.moad(case.image, factors=renamed)
    found = mg.measure.moad(case.image, factors=renamed, object_factor="shape")
    assert found.value == pytest.approx(result_of("pairs")["moad_image"].value, abs=1e-12)


# the contrastive loss ------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.05, 0.01])
@pytest.mark.parametrize("batch", [2, 17, 50, 10_000])
def test_infonce_temperatures_and_batches(temperature: float, batch: int) -> None:
    case = case_of("pairs")
    found = mg.measure.infonce(case.image, case.text, temperature=temperature, batch=batch)
    expected = direct.cross_entropy(case.x, case.y, temperature, batch)
    assert found.value == pytest.approx(expected, rel=2e-5)
    assert found.params["batch"] == min(batch, 120)


@pytest.mark.parametrize("case", ["pairs", "uneven captions", "coco pairs"])
def test_landscape_by_moving_rows(case: str) -> None:
    details = result_of(case)["loss_landscape"].details
    taus = [1 / scale for scale in details["scale"]]
    distances, losses = direct.landscape(case_of(case), taus)
    assert details["distance"] == pytest.approx(distances, abs=2e-6)
    assert np.array(details["loss"]) == pytest.approx(np.array(losses), rel=2e-5, abs=2e-5)


def test_temperature_of_the_model() -> None:
    case = case_of("pairs")
    image = Embeddings(case.image, provenance={"logit_scale": "20"})
    pair = Pair(image, case.text)
    for name in ("infonce", "logit_entropy_image", "logit_entropy_text", "loss_landscape"):
        measure = getattr(mg.measure, name)
        found = measure(pair)
        assert found.params["temperature"] == pytest.approx(0.05)
        assert found.value == measure(case.image, case.text, temperature=0.05).value
    untold: tuple[Any, ...] = ("", "no number", "0", "-3", "inf", "nan")
    for text in untold:
        odd = Pair(Embeddings(case.image, provenance={"logit_scale": text}), case.text)
        assert mg.measure.infonce(odd).params["temperature"] == 0.01


# numbers that others have published or computed before ---------------------------------------


def test_pinned_trained(coco: NDArray[np.float32]) -> None:
    result = result_of("coco pairs")
    for name, text in pinned.TRAINED.items():
        assert pinned.digits(result[name].value, text) == text, name
    details = result["per_dimension_gap"].details
    assert tuple(details["dimensions"][:2]) == pinned.DIMENSIONS
    sizes = [pinned.digits(abs(v), ".000") for v in details["differences"][:3]]
    assert tuple(sizes) == pinned.DIFFERENCES


def test_pinned_untrained() -> None:
    rows = np.load(find_shared("clip_random_coco500.npy"))
    result = mg.measure(Pair(*rows), only=["l2m", "rmg", "cone"])
    for name, text in pinned.UNTRAINED.items():
        assert pinned.digits(result[name].value, text) == text, name


def test_pinned_landscape() -> None:
    details = result_of("coco pairs")["loss_landscape"].details
    for scale, loss, distance in zip(
        details["scale"], details["lowest_loss"], details["lowest_distance"], strict=True
    ):
        want_loss, want_distance = pinned.LANDSCAPE[scale]
        assert pinned.digits(loss, want_loss) == want_loss
        assert pinned.digits(distance, want_distance) == want_distance
    assert list(details["scale"]) == list(pinned.LANDSCAPE)


# what measures compute themselves, against libraries ------------------------------------------


@pytest.mark.parametrize("values", [3, 10, 1000])
def test_tau_b_against_scipy(values: int) -> None:
    for seed, m in enumerate((2, 3, 7, 60, 500)):
        x, y = np.random.default_rng(seed).integers(0, values, (2, m)).astype(float)
        expected = scipy.stats.kendalltau(x, y).statistic
        assert tau_b(x, y) == pytest.approx(expected, abs=1e-14, nan_ok=True)
        assert tau_b(x, x) == pytest.approx(1.0 if np.ptp(x) else np.nan, nan_ok=True)
    assert np.isnan(tau_b(np.zeros(5), np.arange(5.0)))


def test_folds_against_sklearn() -> None:
    for seed in range(5):
        groups = np.random.default_rng(seed).integers(0, 30, 100)
        theirs = [test for _, test in GroupKFold(5).split(groups, groups=groups)]
        ours = [np.flatnonzero(held_out) for held_out in folds(groups, 5)]
        assert all(map(np.array_equal, ours, theirs))


@pytest.mark.parametrize("apart", [0.0, 0.3, 30.0])
@pytest.mark.parametrize(("n", "d"), [(40, 3), (300, 50), (30, 80)])
def test_logistic_regression_against_sklearn(n: int, d: int, apart: float) -> None:
    random = np.random.default_rng(n)
    kind = np.arange(n) % 2
    rows = random.normal(size=(n, d)) + apart * kind[:, None] * random.normal(size=d) + 2
    found = logistic(torch.from_numpy(rows), torch.from_numpy(kind).double()).numpy()
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit(rows, kind)
    expected = theirs.decision_function(rows)
    np.testing.assert_allclose(rows @ found[:-1] + found[-1], expected, atol=0.02)


def test_small_and_large_principal_angles() -> None:
    # arccos alone would give about 1e-8 for 1e-12
    angles = np.array([1e-12, 1e-6, 0.3, 1.2, np.pi / 2])
    u = np.eye(10)[:, :5]
    v = u * np.cos(angles) + np.eye(10)[:, 5:] * np.sin(angles)
    turned = [np.linalg.qr(np.random.default_rng(i).normal(size=(5, 5)))[0] for i in range(2)]
    found = principal_angles_of(torch.from_numpy(u @ turned[0]), torch.from_numpy(v @ turned[1]))
    np.testing.assert_allclose(found.numpy(), angles, rtol=1e-3, atol=1e-15)
