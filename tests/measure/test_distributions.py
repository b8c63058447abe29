"""Measures of two distributions: published values, controls, intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import distributions, pinned
from reference.cases import two_cones, unit
from scipy import stats

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Pair
from modalgap.measure.intervals import jackknife

Real = NDArray[np.float32]


@pytest.mark.parametrize("multiple", pinned.MMD)
def test_mmd_of_coco_at_three_bandwidths(coco: Real, multiple: float) -> None:
    median = mg.measure.mmd(*coco).params["sigma"]
    found = mg.measure.mmd(*coco, sigma=multiple * median)
    assert pinned.digits(found.value, "0.0000") == pinned.MMD[multiple]
    assert found.params["sigma"] == multiple * median


def test_energy_distance_of_centred_coco(coco: Real) -> None:
    closed = mg.close(Pair(*coco), "center")
    found = mg.measure.energy_distance(closed).value
    assert pinned.digits(found, "0.0000") == pinned.ENERGY_CENTRED


def test_energy_distance_of_one_column_against_scipy() -> None:
    # on a line, unit rows are 1 and −1; scipy has the square root of half of ours
    random = np.random.default_rng(0)
    x, y = (random.choice([-1.0, 1.0], 60, p=p) for p in ((0.3, 0.7), (0.6, 0.4)))
    found = mg.measure.energy_distance(x[:, None], y[:, None]).value
    assert found == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-6)


@pytest.mark.parametrize("name", ["energy_distance", "mmd"])
def test_the_control_is_the_number_without_a_gap(coco: Real, name: str) -> None:
    measure = getattr(mg.measure, name)
    found = measure(*coco)
    assert found.details["shuffled"] < 0.01 * found.value
    random = np.random.default_rng(0)
    rows, order = np.concatenate(coco), random.permutation(1000)
    divided = measure(rows[order[:500]], rows[order[500:]])
    assert divided.value == pytest.approx(found.details["shuffled"], rel=0.5)
    assert found.details["shuffled"] == measure(*coco).details["shuffled"]
    assert found.details["shuffled"] != measure(*coco, seed=1).details["shuffled"]


@pytest.mark.parametrize("captions", [1, 4])
def test_intervals_are_of_images_deleted_in_groups(captions: int) -> None:
    of = np.arange(150).repeat(captions)
    image, text = two_cones(150, 8, of=of)
    shuffle = np.random.default_rng(0).permutation(len(of))
    of, text = of[shuffle], text[shuffle]
    pair = Pair(image, text, text_to_image=of)
    x, y = unit(image), unit(text)
    sigma = mg.measure.mmd(pair).params["sigma"]
    left = [
        distributions.mmd_of(x[np.arange(150) % 61 != g], y[of % 61 != g], sigma) for g in range(61)
    ]
    expected = jackknife(np.array([distributions.mmd_of(x, y, sigma), *left]), 0.0, 2.0)
    assert mg.measure.mmd(pair).interval == pytest.approx(expected, rel=1e-3)


def test_prompts_are_not_deleted() -> None:
    prompts, images = np.eye(8)[:4], np.random.default_rng(0).normal(size=(200, 8)) + 1
    pair = Pair(images, prompts, labels=np.arange(200) % 4)
    x, sigma = unit(images), mg.measure.mmd(pair).params["sigma"]
    left = [distributions.mmd_of(x[np.arange(200) % 61 != g], prompts, sigma) for g in range(61)]
    value = distributions.mmd_of(x, prompts, sigma)
    expected = jackknife(np.array([value, *left]), 0.0, 2.0)
    assert mg.measure.mmd(pair).interval == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("sigma", [0, -1.0, "1", True, float("nan")])
def test_bandwidths_that_are_refused(sigma: Any) -> None:
    rule = r"sigma must be a (finite )?number of at least 0.001; got"
    with pytest.raises(errors.OptionError, match=rule):
        mg.measure.mmd(*two_cones(20, 4), sigma=sigma)


@pytest.mark.parametrize("modality", pinned.SCORES)
def test_scores_of_coco_in_closed_form(coco: Real, modality: str) -> None:
    found = mg.measure.score_spread_ratio.of(modality)(*coco)
    for kind, (mean, sd) in pinned.SCORES[modality].items():
        assert pinned.digits(found.details[kind]["mean"], mean) == mean
        assert pinned.digits(found.details[kind]["sd"], sd) == sd
    sds = [found.details[kind]["sd"] for kind in ("within", "across")]
    assert found.value == pytest.approx(sds[0] / sds[1])


def test_centring_does_not_equalise_the_spread_of_scores(coco: Real) -> None:
    closed = mg.close(Pair(*coco), "center")
    for modality in ("image", "text"):
        found = mg.measure.score_spread_ratio.of(modality)(closed)
        assert abs(found.details["within"]["mean"]) < 0.01
        assert 1.6 < found.value < 1.7  # .153 and .154 to .093


def test_directions_of_equal_variance_all_participate() -> None:
    rows = np.concatenate([np.eye(6), -np.eye(6)])  # no mean, six equal variances
    assert mg.measure.participation_ratio(rows).value == pytest.approx(6)
    flat = np.concatenate([rows[:, :2], np.zeros((12, 4))], 1) + 1e-3
    assert mg.measure.participation_ratio(flat).value <= mg.measure.effective_rank(flat).value
