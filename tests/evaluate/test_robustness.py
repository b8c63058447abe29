"""Robustness against simulation, numpy and faiss itself; and against published counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from evaluate.robustness_cases import nearest, noisy_pair, numbers
from hypothesis import given
from hypothesis import strategies as st
from reference.cases import Case, Floats, random_case, two_cones, unit
from scipy.integrate import quad
from scipy.stats import norm

from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import flip_probability

QUIET: dict[str, Any] = {"sigmas": [], "bins": [], "indexes": []}


# the chance of a flip -----------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_flips_against_simulation(sigma: float) -> None:
    random = np.random.default_rng(0)
    lengths = np.array([1.0, 0.3, 3.0, 1.7, 1.0])
    queries = unit(random.normal(size=(5, 6))) * lengths[:, None]
    stored = unit(random.normal(size=(7, 6)))
    stored[5] = stored[2] + 0.05 * random.normal(size=6)  # near one another
    scores = queries @ stored.T
    draws = 40_000
    noise = sigma * random.normal(size=(draws, 7, 6)) @ queries.T  # of stored rows alone
    found = ((scores.T + noise).argmax(1) != scores.argmax(1)).mean(0)
    expected = flip_probability(scores, sigma, lengths)
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(found - expected) <= 4.5 * error + 1e-4).all()
    assert expected.shape == (5,)


@given(
    best=st.floats(-1, 1),
    ahead=st.floats(0, 2),
    sigma=st.floats(1e-4, 10),
    length=st.floats(0.1, 10),
)
def test_flips_of_two(best: float, ahead: float, sigma: float, length: float) -> None:
    # the difference of both is N(s1 - s2, 2 σ² ‖q‖²)
    expected = norm.cdf(-ahead / (sigma * length * np.sqrt(2)))
    found = flip_probability([[best, best - ahead]], sigma, [length])
    assert found == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("m", [2, 3, 10, 100, 1000])
def test_flips_of_equal_scores(m: int) -> None:
    # each of them is as likely to be the best
    assert flip_probability(np.full((2, m), 0.3), 0.1) == pytest.approx([1 - 1 / m] * 2, abs=1e-4)


def test_flips_against_another_quadrature() -> None:
    random = np.random.default_rng(1)
    for m in (3, 20, 200):
        row = np.sort(random.normal(size=m))[::-1] / 5

        def stays(z: float, row: Floats = row) -> float:
            return float(norm.pdf(z) * norm.cdf((row[0] - row[1:]) / 0.1 + z).prod())

        expected = 1 - quad(stays, -9, 9, epsabs=1e-10, limit=200)[0]
        assert flip_probability(row[None], 0.1) == pytest.approx([expected], abs=2e-4)


def test_flips_grow_with_noise_and_do_not_depend_on_order() -> None:
    random = np.random.default_rng(2)
    scores = random.normal(size=(20, 9))
    found = np.array([flip_probability(scores, sigma) for sigma in (1e-9, 0.01, 0.1, 1.0, 1e4)])
    assert (np.diff(found, axis=0) >= -1e-9).all()
    assert found[0] == pytest.approx(np.zeros(20), abs=1e-12)
    assert found[-1] == pytest.approx(np.full(20, 1 - 1 / 9), abs=1e-2)
    assert flip_probability(scores[:, ::-1], 0.1) == pytest.approx(found[2])
    assert flip_probability(scores + 5, 0.1) == pytest.approx(found[2])
    assert flip_probability(scores * 3, 0.3) == pytest.approx(found[2])
    assert flip_probability(scores, 0.05, 2.0) == pytest.approx(found[2])
    assert flip_probability(np.empty((0, 3)), 0.1).shape == (0,)


@pytest.mark.parametrize(
    ("scores", "sigma", "error"),
    [
        ([1.0, 0.5], 0.1, errors.InputError),
        ([[1.0]], 0.1, errors.InputError),
        ([[1.0, np.nan]], 0.1, errors.InputError),
        ([[1.0, np.inf]], 0.1, errors.InputError),
        (None, 0.1, errors.InputError),
        ([[1.0, 0.5]], 0, errors.OptionError),
        ([[1.0, 0.5]], -0.1, errors.OptionError),
        ([[1.0, 0.5]], np.inf, errors.OptionError),
        ([[1.0, 0.5]], np.nan, errors.OptionError),
        ([[1.0, 0.5]], True, errors.OptionError),
        ([[1.0, 0.5]], "0.1", errors.OptionError),
        ([[1.0, 0.5]], None, errors.OptionError),
        ([[1.0, 0.5]], [0.1], errors.OptionError),
    ],
)
def test_flips_refuse(scores: Any, sigma: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        flip_probability(scores, sigma)


def simulated(case: Case, sigma: float, on: str, draws: int = 40) -> tuple[float, float]:
    """Rob and accuracy of images asking for texts."""
    random = np.random.default_rng(99)
    base = nearest(case.x, case.y)
    kept, right = [], []
    for _ in range(draws):
        queries, stored = case.x, case.y
        if on in ("queries", "both"):
            queries = queries + sigma * random.normal(size=queries.shape)
        if on in ("index", "both"):
            stored = stored + sigma * random.normal(size=stored.shape)
        answers = nearest(queries, stored)
        kept.append((answers == base).mean())
        right.append((answers == np.arange(len(base))).mean())
    return float(np.mean(kept)), float(np.mean(right))


# noise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["index", "queries", "both"])
def test_gaussian_noise_against_simulation(on: str) -> None:
    case = noisy_pair()
    sigmas = (0.03, 0.1)
    found = evaluate.robustness(
        Pair(case.image, case.text),
        retrieved="text",
        noise_on=on,
        bins=[],
        indexes=[],
        sigmas=sigmas,
    )
    for sigma in sigmas:
        rob, accuracy = simulated(case, sigma, on)
        assert found.scores[f"gaussian_{sigma}_rob"].value == pytest.approx(rob, abs=0.03)
        assert found.scores[f"gaussian_{sigma}_accuracy"].value == pytest.approx(accuracy, abs=0.03)


def test_noise_on_the_index_flips_as_theory_expects() -> None:
    case = noisy_pair()
    pair, sigmas = Pair(case.image, case.text), (0.02, 0.05, 0.1)
    found = evaluate.robustness(
        pair, retrieved="text", noise_on="index", sigmas=sigmas, bins=[], indexes=[]
    )
    expected = found.details["expected_flip_of_noise_on_index"]
    assert list(expected) == ["0.02", "0.05", "0.1"]
    scores = (case.x @ case.y.T)[:200]
    for sigma in sigmas:
        assert expected[f"{sigma}"] == pytest.approx(
            flip_probability(scores, sigma).mean(), abs=1e-5
        )
        rob = found.scores[f"gaussian_{sigma}_rob"].value
        assert 1 - rob == pytest.approx(expected[f"{sigma}"], abs=0.04)


def test_noise_depends_on_the_seed_alone() -> None:
    case = noisy_pair(100)
    pair = Pair(case.image, case.text)
    options: dict[str, Any] = {"sigmas": [0.1], "bins": [], "indexes": []}
    one, two, other = (
        evaluate.robustness(pair, seed=seed, **options).scores["gaussian_0.1_rob"].values
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert set(np.unique(one * 5).round(9)) <= set(range(6))  # five draws


# who asks whom ------------------------------------------------------------------------------------


def test_what_is_retrieved() -> None:
    case = random_case("uneven captions")
    pair = Pair(case.image, case.text, case.text_to_image)
    scores = case.x @ case.y.T
    assert case.text_to_image is not None
    by_image = numbers(evaluate.robustness(pair, retrieved="text", **QUIET))
    right = case.text_to_image[scores.argmax(1)] == np.arange(70)
    assert by_image["flat_accuracy"] == pytest.approx(right.mean())
    by_text = evaluate.robustness(pair, **QUIET)
    assert by_text.details["retrieved"] == "image"
    assert by_text.details["queries"] == len(case.text)
    right = scores.argmax(0) == case.text_to_image
    assert numbers(by_text)["flat_accuracy"] == pytest.approx(right.mean())
    assert np.array_equal(by_text.scores["flat_accuracy"].clusters, case.text_to_image)
    assert numbers(evaluate.robustness(pair, retrieved="image", **QUIET)) == numbers(by_text)


def test_class_prompts_are_retrieved() -> None:
    case = random_case("class prompts")
    pair = Pair(case.image, case.text, labels=case.labels)
    found = evaluate.robustness(pair, **QUIET)
    right = (case.x @ case.y.T).argmax(1) == case.labels
    assert numbers(found)["flat_accuracy"] == pytest.approx(right.mean())
    assert found.details["retrieved"] == "text"
    assert numbers(evaluate.robustness(pair, retrieved="text", **QUIET)) == numbers(found)
    with pytest.raises(errors.OptionError, match="retrieved"):
        evaluate.robustness(pair, retrieved="image", **QUIET)


def test_other_names_of_modalities() -> None:
    x, y = two_cones(20, 6)
    pair = Pair(Embeddings(x, "audio"), Embeddings(y, "caption"))
    found = evaluate.robustness(pair, retrieved="caption", **QUIET)
    expected = evaluate.robustness(Pair(x, y), retrieved="text", **QUIET)
    assert numbers(found) == numbers(expected)
    assert evaluate.robustness(pair, **QUIET).details["retrieved"] == "audio"
    with pytest.raises(errors.OptionError, match=r"audio, caption; got 'text'"):
        evaluate.robustness(pair, retrieved="text")


def test_a_sample_of_queries() -> None:
    case = noisy_pair(90, 16)
    pair = Pair(case.image, case.text)
    found = evaluate.robustness(pair, retrieved="text", max_rows=40, seed=3, **QUIET)
    chosen = np.sort(np.random.default_rng(3).choice(90, 40, replace=False))
    right = nearest(case.x, case.y)[chosen] == chosen
    assert found.details["queries"] == 40
    assert np.array_equal(found.scores["flat_accuracy"].values, right)
    assert np.array_equal(found.scores["flat_accuracy"].clusters, chosen)


# templates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("retrieved", ["image", "text"])
@pytest.mark.parametrize("kind", [np.asarray, lambda rows: Embeddings(rows, "text")])
def test_another_template(retrieved: str, kind: Callable[[Any], Any]) -> None:
    case = noisy_pair(120, 12)
    other = case.text + 0.5 * np.random.default_rng(8).normal(size=case.text.shape)
    found = numbers(
        evaluate.robustness(
            Pair(case.image, case.text), retrieved=retrieved, other_text=kind(other), **QUIET
        )
    )
    before, after = case.x @ case.y.T, case.x @ unit(other).T
    axis = 1 if retrieved == "text" else 0
    base, answers = before.argmax(axis), after.argmax(axis)
    assert found["template_rob"] == pytest.approx((base == answers).mean())
    assert found["template_accuracy"] == pytest.approx((answers == np.arange(120)).mean())
    assert found["flat_accuracy"] == pytest.approx((base == np.arange(120)).mean())


def test_another_template_of_class_prompts() -> None:
    case = random_case("class prompts")
    other = case.text + np.random.default_rng(8).normal(size=case.text.shape)
    pair = Pair(case.image, case.text, labels=case.labels)
    found = numbers(evaluate.robustness(pair, other_text=other, max_rows=60, seed=1, **QUIET))
    chosen = np.sort(np.random.default_rng(1).choice(150, 60, replace=False))
    base, answers = nearest(case.x, case.y)[chosen], nearest(case.x, unit(other))[chosen]
    assert case.labels is not None
    assert found["template_rob"] == pytest.approx((base == answers).mean())
    assert found["template_accuracy"] == pytest.approx((answers == case.labels[chosen]).mean())


def test_the_same_template_changes_nothing() -> None:
    case = noisy_pair(50)
    pair = Pair(case.image, case.text)
    assert numbers(evaluate.robustness(pair, other_text=case.text, **QUIET))["template_rob"] == 1
    assert "template_rob" not in evaluate.robustness(pair, **QUIET).scores


@pytest.mark.parametrize(
    "other",
    [
        np.ones((3, 12)),
        np.ones((50, 11)),
        np.zeros((50, 12)),
        np.full((50, 12), np.nan),
        "x",
        [],
        5,
    ],
)
def test_templates_of_other_shapes_are_refused(other: Any) -> None:
    case = noisy_pair(50, 12)
    with pytest.raises(errors.InputError, match="text"):
        evaluate.robustness(Pair(case.image, case.text), other_text=other, **QUIET)


def test_names_of_numbers() -> None:
    x, y = two_cones(40, 8)
    found = evaluate.robustness(Pair(x, y), sigmas=0.02, bins=16, indexes="sq8", other_text=y)
    names = ("gaussian_0.02", "bins_16", "int8", "int4", "binary", "sq8", "template")
    both: Sequence[str] = [f"{name}_{what}" for name in names for what in ("rob", "accuracy")]
    assert list(found.scores) == ["flat_accuracy", *both]
    assert {scores.better for scores in found.scores.values()} == {"higher"}
    assert all(0 <= value <= 1 for value in numbers(found).values())
