"""Predicted shares of the first page: against sampling, and cases that have a plain answer."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from modalgap.embeddings.cosine_moments import cosine_moments
from modalgap.errors import InputError, OptionError
from modalgap.evaluate.first_page import shares_by_query, shares_of_scales

SCALES = [(0.1, 0.05), (0.3, 0.1), (0.25, 0.08)]
COUNTS = [500, 300, 200]


def test_shares_are_those_of_many_gaussian_scores() -> None:
    random = np.random.default_rng(0)
    forms = np.repeat(np.arange(3), COUNTS)
    found = np.zeros(3)
    for _ in range(400):
        means, deviations = np.array(SCALES)[forms].T
        scores = random.normal(means, deviations)
        found += np.bincount(forms[np.argsort(-scores)[:50]], minlength=3) / 50
    assert shares_of_scales(SCALES, COUNTS, 50) == pytest.approx(found / 400, abs=0.01)


def test_the_threshold_leaves_k_documents() -> None:
    shares = shares_of_scales(SCALES, COUNTS, 20)
    ahead = shares * 20
    at = [
        NormalDist(m, s).inv_cdf(1 - a / n)
        for a, n, (m, s) in zip(ahead, COUNTS, SCALES, strict=True)
    ]
    assert at == pytest.approx([at[0]] * 3, rel=1e-6)
    assert shares.sum() == pytest.approx(1)


def test_equal_scores_are_fair_and_a_full_page_is_the_index() -> None:
    same = [(0.2, 0.1)] * 3
    fair = np.array(COUNTS) / 1000
    assert shares_of_scales(same, COUNTS, 10) == pytest.approx(fair)
    assert shares_of_scales(SCALES, COUNTS, 1000) == pytest.approx(fair)
    assert shares_of_scales([(0.9, 0.01), (0.1, 0.01)], [50, 50], 10) == pytest.approx([1, 0])
    equal = shares_of_scales([(0.5, 0.0), (0.1, 0.0)], [50, 50], 10)  # scores that do not vary
    assert equal == pytest.approx([1, 0])


def test_by_query_is_the_mean_over_drawn_queries() -> None:
    random = np.random.default_rng(1)
    d, k, counts = 6, 10, [100.0, 80.0, 60.0]
    documents, factors = [], []
    for scale in (0.2, 0.25, 0.15):
        factor = random.normal(size=(d, d)) * scale
        documents.append((random.normal(size=d) * 0.5, factor @ factor.T))
        factors.append(factor)
    query = documents[0]
    means = np.stack([mean for mean, _ in documents])
    spread = [np.sqrt((query[1] * own).sum() + query[0] @ own @ query[0]) for _, own in documents]
    shares = []
    for _ in range(400):
        q = query[0] + factors[0] @ random.normal(size=d)
        scales = list(zip(means @ q, spread, strict=True))
        shares.append(shares_of_scales(scales, counts, k))
    found = shares_by_query(query, documents, counts, k)
    assert found == pytest.approx(np.mean(shares, 0), abs=0.04)
    own = [cosine_moments(query, each) for each in documents]
    standardised = shares_by_query(query, documents, counts, k, own)
    assert standardised.sum() == pytest.approx(1)
    assert np.abs(standardised - found).max() > 0.05


def test_queries_without_a_mean_need_no_quadrature() -> None:
    documents = [(np.zeros(4), np.eye(4) * each) for each in (0.1, 0.2, 0.3)]
    scales = [cosine_moments(documents[0], each) for each in documents]
    found = shares_by_query(documents[0], documents, COUNTS, 10)
    assert found == pytest.approx(shares_of_scales(scales, COUNTS, 10))


def test_refusals() -> None:
    with pytest.raises(InputError, match="counts: must be 3 numbers of documents"):
        shares_of_scales(SCALES, [1, 2], 1)
    with pytest.raises(InputError, match="counts"):
        shares_of_scales(SCALES, [1, -2, 3], 1)
    with pytest.raises(OptionError, match="k must be an integer of at least 1"):
        shares_of_scales(SCALES, COUNTS, 0)
