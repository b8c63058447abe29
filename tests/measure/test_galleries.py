"""Measures of neighbours: real embeddings, planted duplicates, options."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import galleries
from reference.cases import Case, two_cones, unit

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Pair
from modalgap.measure.intervals import wilson

Real = NDArray[np.float32]
NAMES = ["knn_mixing", "out_of_corpus_fraction"]


def test_the_gap_of_coco_as_search_engines_see_it(coco: Real) -> None:
    found = mg.measure(Pair(*coco), only=NAMES)
    assert found["knn_mixing"].value == 0
    assert found["knn_mixing"].interval == wilson(0, 500)
    for name in ("image", "text"):
        value = found[f"out_of_corpus_fraction_{name}"]
        assert value.value == 1  # no query scores like the gallery, though its match is there
        assert value.details["median_best_of_queries"] < value.details["cutoff"]
    centred = mg.measure(mg.close(Pair(*coco), "center"), only=NAMES)
    assert 0.05 < centred["knn_mixing"].value < 0.15
    assert centred["out_of_corpus_fraction_image"].value < 0.4
    assert centred["out_of_corpus_fraction_text"].value < 0.4


def test_neighbours_without_a_gap_are_mixed() -> None:
    rows = np.random.default_rng(0).normal(size=(900, 6))
    pair = Pair(rows[:300], rows[300:], text_to_image=np.arange(600) % 300)
    found = mg.measure(pair, only=NAMES)
    value = found["knn_mixing"]
    assert value.details["without_gap"] == pytest.approx(2 * 300 * 600 / (900 * 899))
    assert value.value == pytest.approx(value.details["without_gap"], abs=0.02)
    parts = [value.details["image"], value.details["text"]]
    assert value.value == pytest.approx((300 * parts[0] + 600 * parts[1]) / 900)
    assert found["out_of_corpus_fraction_image"].value < 0.03


def test_duplicates_are_counted() -> None:
    image, text = two_cones(60, 12)
    copied = np.concatenate([image, 3 * image[:20]])  # 20 items twice, at another length
    found = mg.measure.near_duplicate_fraction(copied)
    assert found.value == 40 / 80
    assert found.interval == wilson(0.5, 80)
    assert mg.measure.near_duplicate_fraction(image).value == 0
    near = mg.measure.near_duplicate_fraction(image, threshold=0.3).value
    assert near == (galleries.best_of_others(unit(image)) >= 0.3).mean()
    # captions: as many independent items as images
    pair = Pair(image, np.repeat(text, 2, 0), text_to_image=np.arange(120) // 2)
    value = mg.measure(pair, only="near_duplicate_fraction_text")["near_duplicate_fraction_text"]
    assert value.value == 1
    assert value.interval == wilson(1, 60)


def test_exact_duplicates_do_not_move_the_cutoff() -> None:
    image, text = two_cones(80, 12)
    measure = mg.measure.out_of_corpus_fraction.of("text")
    plain = measure(image, text)
    copied = measure(np.concatenate([image, image[:1]]), text, text_to_image=np.arange(80))
    assert plain.value == copied.value
    assert 0 < measure(image, text, quantile=0.9).value > plain.value


@pytest.mark.parametrize("k", [1, 3, 10])
def test_antihubs(k: int) -> None:
    image, _ = two_cones(200, 12)
    near = np.argsort(-unit(image) @ unit(image).T, axis=1)[:, 1 : k + 1]
    found = mg.measure.antihub_fraction(image, k=k)
    assert found.value == pytest.approx(1 - len(np.unique(near)) / 200)
    assert found.details["without_hubs"] == math.exp(-k)
    with pytest.raises(errors.NotApplicable, match="it needs more than k=10 items; found 10"):
        mg.measure.antihub_fraction(image[:10])


@pytest.mark.parametrize("k", [1, 7, 100])
def test_mixing_at_any_k(k: int) -> None:
    image, text = two_cones(60, 6)
    expected = galleries.knn_mixing(Case(image, text), k)
    assert mg.measure.knn_mixing(image, text, k=k).value == pytest.approx(expected)
    with pytest.raises(errors.NotApplicable, match="a pool of more than 120 items; found 120"):
        mg.measure.knn_mixing(image, text, k=119)
