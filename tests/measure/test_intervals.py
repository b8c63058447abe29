"""Intervals: against outside libraries, a bootstrap of images, and simulated truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import direct
from reference.cases import Floats, two_cones, unit
from scipy import stats

import modalgap as mg
from modalgap.embeddings import Pair
from modalgap.measure import intervals
from modalgap.measure.prediction import gini, normalised_entropy


def half(interval: Any) -> float:
    return (interval[1] - interval[0]) / 2


# makers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 10, 137, 5000])
def test_wilson_against_scipy(n: int) -> None:
    for k in {0, 1, n // 3, n - 1, n}:
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        found = intervals.wilson(k / n, n)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert found is not None
        assert found[0] <= k / n <= found[1]


def test_student_t_against_scipy() -> None:
    for freedom in (*range(1, 80), 499, 500):
        expected = stats.t.ppf(0.975, freedom)
        assert intervals.student_t(freedom) == pytest.approx(expected, rel=1e-12)
    assert pytest.approx(stats.norm.ppf(0.975), rel=1e-14) == intervals.Z


def test_jackknife_of_a_mean_is_the_textbook_interval() -> None:
    values = np.random.default_rng(0).normal(size=61)
    left = (values.sum() - values) / 60
    found = intervals.jackknife(np.r_[values.mean(), left])
    expected = stats.t.interval(0.95, 60, values.mean(), stats.sem(values))
    assert found == pytest.approx(expected)
    items = intervals.jackknife_of_items(float(values.mean()), left, None, None)
    normal = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert items == pytest.approx(normal)


def test_jackknife_of_a_ratio_against_bootstrap() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(5, 1, 61), random.normal(3, 1, 61)
    left = (a.sum() - a) / (b.sum() - b)
    draws = random.integers(0, 61, (4000, 61))
    spread = (a[draws].sum(1) / b[draws].sum(1)).std()
    found = intervals.jackknife(np.r_[a.sum() / b.sum(), left])
    assert half(found) == pytest.approx(stats.t.ppf(0.975, 60) * spread, rel=0.1)


def test_jackknife_that_cannot_be_had() -> None:
    assert intervals.jackknife(np.array([1.0, 1, 2, 3, 4])) is None  # four groups
    assert intervals.jackknife(np.array([1.0, 1, 2, np.nan, 4, 5, 6])) is None
    assert intervals.jackknife_of_items(1.0, np.ones(4), None, None) is None
    assert intervals.mean_interval(np.zeros(50, int), np.arange(50.0)) is None  # one group


def test_intervals_are_cut_to_the_range() -> None:
    values = np.array([0.9, *np.linspace(0.5, 1.3, 9)])
    found = intervals.jackknife(values, 0.0, 1.0)
    assert found is not None
    assert found[1] == 1.0
    assert found[0] >= 0.0
    low = intervals.jackknife(np.array([0.01, *np.linspace(-0.2, 0.2, 9)]), 0.0, 1.0)
    assert low is not None
    assert low[0] == 0.0


def test_mean_interval_of_independent_values() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    found = intervals.mean_interval(np.arange(400), values)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert found == pytest.approx(expected)


def test_mean_interval_of_grouped_values_is_that_of_the_group_means() -> None:
    random = np.random.default_rng(0)
    groups = random.permutation(np.arange(200).repeat(5))
    values = random.normal(size=200)[groups]  # five copies of each
    found = intervals.mean_interval(groups, values)
    alone = intervals.mean_interval(np.arange(200), values[np.unique(groups, return_index=True)[1]])
    assert found == pytest.approx(alone)
    as_if = intervals.mean_interval(np.arange(1000), values)
    assert half(found) == pytest.approx(np.sqrt(5) * half(as_if), rel=0.01)


@pytest.mark.parametrize("number", [gini, normalised_entropy])
def test_bootstrap_of_counts(number: Callable[[Floats], float]) -> None:
    random = np.random.default_rng(0)
    counts = random.multinomial(400, random.dirichlet(np.ones(20)))
    first = intervals.bootstrap_counts(counts, number, seed=1)
    assert first == intervals.bootstrap_counts(counts, number, seed=1)
    assert first != intervals.bootstrap_counts(counts, number, seed=2)
    assert first is not None
    assert first[0] < number(counts.astype(float)) < first[1]
    items = np.repeat(np.arange(20), counts)  # a bootstrap of the items themselves
    draws = [
        number(np.bincount(random.choice(items, 400), minlength=20).astype(float))
        for _ in range(2000)
    ]
    assert half(first) == pytest.approx(1.96 * np.std(draws), rel=0.15)


@pytest.mark.parametrize(("classes", "n"), [(10, 300), (100, 500), (1000, 2000)])
@pytest.mark.parametrize("number", [gini, normalised_entropy])
def test_bootstrap_of_counts_covers(
    number: Callable[[Floats], float], classes: int, n: int
) -> None:
    # the truth is what n images give on average: the number itself depends on n
    random = np.random.default_rng(2)
    shares = random.dirichlet(np.ones(classes))
    expected = np.mean([number(random.multinomial(n, shares).astype(float)) for _ in range(500)])
    hits = 0
    for draw in range(60):
        found = intervals.bootstrap_counts(random.multinomial(n, shares), number, draw, draws=60)
        assert found is not None
        hits += found[0] <= expected <= found[1]
    assert hits >= 50


# against a bootstrap of images ---------------------------------------------------------------


def weighted(x: Floats, y: Floats, of: NDArray[np.int64], w: NDArray[np.int64]) -> dict[str, float]:
    """Measures when image i occurs w[i] times with all its captions; copies are no pairs."""
    v = w[of]

    def mean(rows: Floats, weights: NDArray[np.int64]) -> Floats:
        return np.asarray(weights @ rows / weights.sum())

    def cone(rows: Floats, weights: NDArray[np.int64]) -> float:
        n, same = weights.sum(), (weights**2).sum()
        return float((((weights @ rows) ** 2).sum() - same) / (n**2 - same))

    apart = np.linalg.norm(x[of] - y, axis=1)
    m, a, b = (v @ apart**2 / v.sum()) / 4, (1 - cone(x, w)) / 2, (1 - cone(y, v)) / 2
    return {
        "l2m": float(np.linalg.norm(mean(x, w) - mean(y, v))),
        "l2i": float(v @ apart / v.sum()),
        "rmg": float(m / (m + (a + b) / 2)),
        "cone_image": cone(x, w),
        "cone_text": cone(y, v),
        "matched_cosine": float(1 - v @ apart**2 / v.sum() / 2),
        "trace_ratio": (1 - cone(x, w)) / (1 - cone(y, v)),
    }


def bootstrap(x: Floats, y: Floats, of: NDArray[np.int64], draws: int = 400) -> dict[str, float]:
    """Half-widths: 1.96 standard deviations over resamples of the images."""
    random = np.random.default_rng(0)
    n = len(x)
    found = [weighted(x, y, of, random.multinomial(n, np.full(n, 1 / n))) for _ in range(draws)]
    return {name: float(1.96 * np.std([each[name] for each in found])) for name in found[0]}


@pytest.mark.parametrize("captions", [1, 5])
def test_jackknife_against_bootstrap_on_real_data(coco: NDArray[np.float32], captions: int) -> None:
    n = 500 // captions
    of = np.arange(n).repeat(captions)
    pair = Pair(coco[0][:n], coco[1], text_to_image=of)
    x, y = unit(coco[0][:n]), unit(coco[1])
    found = mg.measure(pair, only=["l2m", "l2i", "rmg", "cone", "matched_cosine", "trace_ratio"])
    exact = weighted(x, y, of, np.ones(n, int))
    for name, width in bootstrap(x, y, of).items():
        assert found[name].value == pytest.approx(exact[name], rel=1e-5), name
        assert half(found[name].interval) == pytest.approx(width, rel=0.25), name


def test_uniformity_interval_against_bootstrap(coco: NDArray[np.float32]) -> None:
    x = unit(coco[0])
    kernel = np.exp(-4 * (1 - x @ x.T))
    np.fill_diagonal(kernel, 0)
    random, n = np.random.default_rng(0), len(x)
    draws = []
    for _ in range(400):
        w = random.multinomial(n, np.full(n, 1 / n))
        draws.append(np.log(w @ kernel @ w / (w.sum() ** 2 - (w**2).sum())))
    found = mg.measure.uniformity(coco[0])
    assert half(found.interval) == pytest.approx(1.96 * np.std(draws), rel=0.25)


def test_uniformity_leaves_whole_images_out() -> None:
    of = np.random.default_rng(0).permutation(np.arange(30).repeat(3))
    image, text = two_cones(30, 8, of=of)
    found = mg.measure(Pair(image, text, text_to_image=of), only="uniformity_text")
    y = unit(text)
    left = np.array([direct.uniformity(y[of != i]) for i in range(30)])
    expected = intervals.jackknife_of_items(direct.uniformity(y), left, -8.0, 0.0)
    assert found["uniformity_text"].interval == pytest.approx(expected, rel=1e-5)


def test_moad_interval_against_groups_deleted_one_by_one() -> None:
    image, _ = two_cones(200, 6)
    random = np.random.default_rng(0)
    factors = {"object": random.integers(0, 4, 200), "colour": random.integers(0, 3, 200)}
    x, group = unit(image), np.arange(200) % 61
    values = [direct.moad(x, factors)]
    for g in range(61):
        kept = group != g
        values.append(direct.moad(x[kept], {name: v[kept] for name, v in factors.items()}))
    expected = intervals.jackknife(np.array(values))
    assert mg.measure.moad(image, factors=factors).interval == pytest.approx(expected, rel=1e-4)


# clusters ------------------------------------------------------------------------------------


def test_captions_of_one_image_are_not_independent() -> None:
    # five near copies of each caption: as much knowledge as one caption an image
    random = np.random.default_rng(0)
    image, first = two_cones(300, 16)
    of = np.arange(300).repeat(5)
    text = first[of] + 0.01 * random.normal(size=(1500, 16))
    names = ["l2i", "rmg", "cone_text", "uniformity_text", "logit_entropy_text", "imr"]
    clustered = mg.measure(Pair(image, text, text_to_image=of), only=names)
    once = mg.measure(Pair(image, first), only=names)
    as_if = mg.measure(Pair(image[of], text), only=names)  # the caller hides who is whose
    for name in names:
        one, many, hidden = (
            half(r[name].interval) / r[name].value for r in (once, clustered, as_if)
        )
        assert many == pytest.approx(one, rel=0.3), name
        assert abs(many) > 1.3 * abs(hidden), name


def test_order_of_captions_does_not_matter_to_clusters() -> None:
    of = np.arange(120).repeat(4)
    image, text = two_cones(120, 8, of=of)
    shuffle = np.random.default_rng(0).permutation(480)
    names = ["l2m", "l2i", "rmg", "cone", "trace_ratio", "uniformity", "tir", "imr"]
    plain = mg.measure(Pair(image, text, text_to_image=of), only=names)
    mixed = mg.measure(Pair(image, text[shuffle], text_to_image=of[shuffle]), only=names)
    for name in plain:
        assert plain[name].interval == pytest.approx(mixed[name].interval, rel=1e-4), name


def test_shares_count_images_not_captions() -> None:
    of = np.arange(50).repeat(5)
    image, text = two_cones(50, 8, of=of, noise=3)
    found = mg.measure(Pair(image, text, text_to_image=of), only=["itr", "tir"])
    for name in ("itr", "tir"):
        assert found[name].interval == intervals.wilson(found[name].value, 50)


# simulated truth -----------------------------------------------------------------------------

NAMES = ("l2m", "l2i", "rmg", "cone_image", "cone_text", "matched_cosine", "uniformity_image")


def population(n: int, captions: int, seed: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(2, 12))
    content = random.normal(size=(n, 12))
    of = np.arange(n).repeat(captions)
    image = centres[0] + content + 0.5 * random.normal(size=(n, 12))
    text = centres[1] + 0.8 * content[of] + 0.5 * random.normal(size=(n * captions, 12))
    return image, text, of


@pytest.mark.slow
@pytest.mark.parametrize("captions", [1, 3])
def test_coverage(captions: int) -> None:
    image, text, of = population(60_000, captions, seed=10**6)
    large = mg.measure(Pair(image, text, of), only=NAMES, max_rows=8000)
    truth = {name: large[name].value for name in NAMES}
    hits = dict.fromkeys(NAMES, 0)
    draws = 200
    for seed in range(draws):
        image, text, of = population(300, captions, seed)
        found = mg.measure(Pair(image, text, of), only=NAMES)
        for name in NAMES:
            interval = found[name].interval
            assert interval is not None
            hits[name] += interval[0] <= truth[name] <= interval[1]
    coverage = {name: count / draws for name, count in hits.items()}
    assert all(0.90 <= share <= 0.99 for share in coverage.values()), coverage
