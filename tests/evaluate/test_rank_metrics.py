"""Ranks against sorting and counting one query at a time, their metrics against libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from evaluate.rank_cases import Floats, Queries, relevant_of, some_of, whole
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from torchmetrics.functional import retrieval as torchmetrics

from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Ranks


def test_average_precision_against_sklearn(asked: Queries) -> None:
    expected = [
        average_precision_score(t, s) for t, s in zip(asked.truth, asked.scores, strict=True)
    ]
    assert asked.found.average_precision() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10, 50, 120, 500])
def test_ndcg_against_sklearn(asked: Queries, k: int) -> None:
    # the ideal is over all relevant items, not over those among the first k
    expected = [
        ndcg_score(t[None], s[None], k=k) for t, s in zip(asked.truth, asked.scores, strict=True)
    ]
    assert asked.found.ndcg(k) == pytest.approx(expected, abs=1e-12)


def test_ndcg_counts_what_was_not_retrieved() -> None:
    # ten relevant, one among the first ten: its share of the ideal of ten, not of one
    gallery = torch.arange(40.0, 0, -1)[:, None]
    found = ranks(torch.ones(1, 1), gallery, relevant_of([[0, *range(20, 29)]]))
    assert found.ndcg(10)[0] == pytest.approx(1 / sum(1 / np.log2(i + 1) for i in range(1, 11)))


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("retrieval_average_precision", None),
        ("retrieval_r_precision", None),
        ("retrieval_hit_rate", 1),
        ("retrieval_hit_rate", 5),
        ("retrieval_hit_rate", 10),
        ("retrieval_normalized_dcg", 10),
        ("retrieval_reciprocal_rank", None),
    ],
)
def test_metrics_against_torchmetrics(asked: Queries, name: str, k: int | None) -> None:
    theirs = getattr(torchmetrics, name)
    top = {} if k is None else {"top_k": k}
    expected = [
        float(
            theirs(torch.from_numpy(s) + 2, torch.from_numpy(t), **top)
        )  # it drops scores below 0
        for t, s in zip(asked.truth, asked.scores, strict=True)
    ]
    found = {
        "retrieval_average_precision": asked.found.average_precision,
        "retrieval_r_precision": asked.found.precision_at_r,
        "retrieval_hit_rate": lambda: asked.found.within(k or 0),
        "retrieval_normalized_dcg": lambda: asked.found.ndcg(k or 0),
        "retrieval_reciprocal_rank": lambda: 1 / asked.found.first,
    }[name]()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def by_ranx(asked: Queries) -> dict[str, Floats]:
    """What ranx gives for each query; it compiles for some seconds, once a machine."""
    order = np.argsort(-asked.scores, axis=1)
    best = np.argsort(-asked.truth, axis=1, kind="stable")  # it takes them in this order
    qrels = np.stack([best, np.take_along_axis(asked.truth, best, 1)], 2).astype(np.float64)
    run = np.stack([order, np.take_along_axis(asked.scores, order, 1)], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and of strings in its source
        from ranx import metrics as ranx

        return {
            "map": ranx.average_precision(qrels, run),
            "ndcg@10": ranx.ndcg(qrels, run, 10),
            "ndcg@100": ranx.ndcg(qrels, run, 100),
        }


def test_metrics_against_ranx(asked: Queries, by_ranx: dict[str, Floats]) -> None:
    assert asked.found.average_precision() == pytest.approx(by_ranx["map"], abs=1e-12)
    assert asked.found.ndcg(10) == pytest.approx(by_ranx["ndcg@10"], abs=1e-12)
    assert asked.found.ndcg(100) == pytest.approx(by_ranx["ndcg@100"], abs=1e-12)


def test_map_at_r_by_its_definition(asked: Queries) -> None:
    # Musgrave et al. 2020: 1/R Σ_{i ≤ R} P(i), where P(i) is precision at i if i is relevant, or 0
    expected = []
    for row in asked.sorted:
        r = row.sum()
        expected.append(sum(row[: i + 1].mean() * row[i] for i in range(r)) / r)
    assert asked.found.average_precision_at_r() == pytest.approx(expected, abs=1e-12)


def test_recall_by_its_definition(asked: Queries) -> None:
    for k in (1, 2, 5, 10, 119, 120, 1000):
        assert asked.found.within(k).tolist() == asked.sorted[:, :k].any(1).tolist()


def test_metrics_of_known_ranks() -> None:
    # relevant at 1, 3 and 6
    found = Ranks(np.array([0]), np.array([0, 3]), np.array([1, 3, 6]))
    assert found.average_precision()[0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert found.precision_at_r()[0] == pytest.approx(2 / 3)
    assert found.average_precision_at_r()[0] == pytest.approx((1 + 2 / 3) / 3)
    ideal = 1 + 1 / np.log2(3)
    assert found.ndcg(2)[0] == pytest.approx(1 / ideal)
    assert found.ndcg(3)[0] == pytest.approx((1 + 0.5) / (ideal + 0.5))


@given(seed=st.integers(0, 999), n=st.integers(1, 6), most=st.integers(1, 8))
def test_metrics_lie_between_0_and_1(seed: int, n: int, most: int) -> None:
    random = np.random.default_rng(seed)
    lists = some_of(random, n, 12, most, least=1)
    found = ranks(whole(random, n, 3), whole(random, 12, 3), relevant_of(lists))
    for values in (
        found.average_precision(),
        found.precision_at_r(),
        found.average_precision_at_r(),
        found.ndcg(5),
    ):
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    assert (found.average_precision_at_r() <= found.precision_at_r() + 1e-12).all()
    assert (found.average_precision_at_r() <= found.average_precision() + 1e-12).all()
