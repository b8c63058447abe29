"""Robustness against simulation, numpy and faiss itself; and against published counts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import Case, Floats, random_case, two_cones, unit
from scipy.integrate import quad
from scipy.stats import norm

import modalgap as mg
from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Outcome, flip_probability

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
QUIET: dict[str, Any] = {"sigmas": [], "bins": [], "indexes": []}


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


def nearest(queries: Any, stored: Any) -> Ints:
    return np.asarray(queries @ stored.T).argmax(1)


# the chance of a flip ------------------------------------------------------------------------


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


# noise ---------------------------------------------------------------------------------------


def noisy_pair(n: int = 400, d: int = 24) -> Case:
    random = np.random.default_rng(3)
    text = random.normal(size=(n, d))
    return Case(text + 0.6 * random.normal(size=(n, d)), text)


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


# rounding ------------------------------------------------------------------------------------


def in_bins(rows: Singles, count: int) -> Floats:
    """The centre of the bin that each number falls in."""
    edges = np.linspace(rows.min(), rows.max(), count + 1)
    number = np.clip(np.searchsorted(edges, rows, "right") - 1, 0, count - 1)
    return np.asarray((edges[:-1] + edges[1:])[number] / 2)


def signed(rows: Singles, bits: int) -> Floats:
    top = 2 ** (bits - 1) - 1
    scale = np.abs(rows).max() / top
    return np.asarray(np.round(rows / scale) * scale)


def hamming(queries: Singles, stored: Singles) -> Ints:
    """The least Hamming distance of the signs, the first of several."""
    apart = (queries > 0)[:, None] != (stored > 0)[None]
    return np.asarray(apart.sum(2).argmin(1))


ROUNDED: dict[str, Callable[[Singles, Singles], Ints]] = {
    **{
        f"bins_{count}": lambda q, s, count=count: nearest(q, in_bins(s, count))
        for count in (2, 5, 16, 256)
    },
    "int8": lambda q, s: nearest(q, signed(s, 8)),
    "int4": lambda q, s: nearest(q, signed(s, 4)),
    "binary": hamming,
}


@pytest.mark.parametrize("retrieved", ["image", "text"])
def test_rounding_by_numpy(retrieved: str) -> None:
    case = noisy_pair(300, 16)
    image, text = case.x.astype(np.float32), case.y.astype(np.float32)
    queries, stored = (image, text) if retrieved == "text" else (text, image)
    found = evaluate.robustness(
        Pair(image, text), retrieved=retrieved, sigmas=[], indexes=[], bins=(2, 5, 16, 256)
    )
    base = nearest(queries, stored)
    own = np.arange(300)
    expected = {"flat_accuracy": (base == own).mean()}
    for name, find in ROUNDED.items():
        answers = find(queries, stored)
        expected[f"{name}_rob"] = (answers == base).mean()
        expected[f"{name}_accuracy"] = (answers == own).mean()
    # a number on the edge of a bin may fall on either side
    assert numbers(found) == pytest.approx(expected, abs=1.01 / 300)
    assert numbers(found)["int8_rob"] > numbers(found)["int4_rob"]


def test_equal_numbers_have_one_bin() -> None:
    found = numbers(evaluate.robustness(Pair(np.ones((9, 4)), np.ones((9, 4))), bins=[2, 7]))
    assert found["bins_2_rob"] == found["bins_7_rob"] == 1
    assert found["flat_accuracy"] == found["bins_2_accuracy"] == found["int4_accuracy"]


# faiss ---------------------------------------------------------------------------------------


def scalar(kind: int, d: int) -> Any:
    return faiss.IndexScalarQuantizer(d, kind, faiss.METRIC_INNER_PRODUCT)


def inverted(d: int, n: int) -> Any:
    flat = faiss.IndexFlatIP(d)
    lists = max(1, min(64, n // 32))
    index = faiss.IndexIVFPQ(flat, d, lists, d, 4, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(1, lists // 4)
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
    return index


def product(d: int, _n: int) -> Any:
    return faiss.IndexPQ(d, d, 4, faiss.METRIC_INNER_PRODUCT)


INDEXES: dict[str, Callable[[int, int], Any]] = {
    "sq8": lambda d, _: scalar(faiss.ScalarQuantizer.QT_8bit, d),
    "sq4": lambda d, _: scalar(faiss.ScalarQuantizer.QT_4bit, d),
    "sq4_uniform": lambda d, _: scalar(faiss.ScalarQuantizer.QT_4bit_uniform, d),
    "pq4": product,
    "ivf_pq4": inverted,
    "hnsw": lambda d, _: faiss.IndexHNSWFlat(d, 32, faiss.METRIC_INNER_PRODUCT),
    "rabitq": lambda d, _: faiss.IndexRaBitQ(d, faiss.METRIC_INNER_PRODUCT),
}


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_by_faiss(name: str) -> None:
    case = noisy_pair(700, 32)
    image, text = case.x.astype(np.float32), case.y.astype(np.float32)
    index = INDEXES[name](32, 700)
    index.train(text)
    index.add(text)
    answers = index.search(image, 1)[1][:, 0]
    found = evaluate.robustness(
        Pair(image, text), retrieved="text", indexes=name, sigmas=[], bins=[]
    )
    assert "skipped" not in found.details
    # trained alike; from the seed of the library itself where there is k-means
    near = 0.002 if name not in ("pq4", "ivf_pq4") else 0.01
    base = nearest(image, text)
    assert numbers(found)[f"{name}_rob"] == pytest.approx((answers == base).mean(), abs=near)
    accuracy = (answers == np.arange(700)).mean()
    assert numbers(found)[f"{name}_accuracy"] == pytest.approx(accuracy, abs=near)


def test_all_indexes_are_tested() -> None:
    assert tuple(INDEXES) == evaluate.robustness.options["indexes"]


def test_product_quantizers_depend_on_the_seed() -> None:
    case = noisy_pair(200, 16)
    pair = Pair(case.image, case.text)
    one, two, other = (
        evaluate.robustness(pair, seed=seed, indexes="pq4", sigmas=[], bins=[])
        .scores["pq4_rob"]
        .values
        for seed in (4, 4, 5)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_without_faiss_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    x, y = two_cones(30, 8)
    found = evaluate.robustness(Pair(x, y), indexes=["sq8", "pq4"], sigmas=[0.1], bins=[4])
    assert set(found.details["skipped"]) == {"sq8", "pq4"}
    assert "pip install 'modalgap[search]'" in found.details["skipped"]["sq8"]
    assert "sq8_rob" not in found.scores
    assert {"gaussian_0.1_rob", "bins_4_rob", "binary_rob"} <= set(found.scores)


def test_what_faiss_refuses_is_said() -> None:
    x, y = two_cones(6, 8)
    found = evaluate.robustness(Pair(x, y), sigmas=[], bins=[])
    assert {"pq4", "ivf_pq4"} <= set(found.details["skipped"])
    assert "(6)" in found.details["skipped"]["pq4"]
    assert "sq8_accuracy" in found.scores


@pytest.mark.parametrize("d", [1, 2, 7, 9, 65])
def test_indexes_of_odd_widths(d: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40, d))
    found = evaluate.robustness(Pair(x, y), sigmas=[], bins=[])
    assert {f"{name}_accuracy" for name in INDEXES} <= set(found.scores)


# coco ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closed", "counts", "pq4", "noise"),
    [
        (
            False,
            {"flat": 276, "rabitq": 76, "sq4_uniform": 206, "binary": 168},
            0.22,
            0.363,
        ),
        (
            True,
            {"flat": 271, "rabitq": 214, "sq4_uniform": 251, "binary": 176},
            0.33,
            0.451,
        ),
    ],
)
def test_coco(
    coco: Singles, closed: bool, counts: dict[str, int], pq4: float, noise: float
) -> None:
    pair = mg.close(Pair(*coco), "center") if closed else Pair(*coco)
    found = evaluate.robustness(
        pair,
        retrieved="text",
        sigmas=[0.02],
        bins=[],
        indexes=["rabitq", "sq4_uniform", "pq4"],
    )
    for name, count in counts.items():
        assert found.scores[f"{name}_accuracy"].values.sum() == count, name
    assert numbers(found)["pq4_accuracy"] == pytest.approx(pq4, abs=0.05)
    assert numbers(found)["gaussian_0.02_accuracy"] == pytest.approx(noise, abs=0.03)
    assert found.details["retrieved"] == "text"
    assert found.details["queries"] == 500


# who asks whom -------------------------------------------------------------------------------


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


# templates -----------------------------------------------------------------------------------


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
