"""Ranks against sorting and counting one query at a time, their metrics against libraries."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, ndcg_score
from torch import Tensor
from torchmetrics.functional import retrieval as torchmetrics

from modalgap import linalg
from modalgap.evaluate import ranks as module
from modalgap.evaluate.ranks import FEW, Ranks, Relevant, ranks

Floats = NDArray[np.float64]
Lists = list[list[int]]


def whole(random: np.random.Generator, n: int, d: int, top: int = 2) -> Tensor:
    """Rows of small integers: products are exact, and many are equal."""
    return torch.from_numpy(random.integers(-top, top + 1, (n, d)).astype(np.float32))


def real(random: np.random.Generator, n: int, d: int = 16) -> Tensor:
    rows = torch.from_numpy(random.normal(size=(n, d)).astype(np.float32))
    return torch.nn.functional.normalize(rows, dim=1)


def some_of(random: np.random.Generator, n: int, m: int, most: int, least: int = 0) -> Lists:
    """Relevant items of each query."""
    return [
        sorted(random.choice(m, random.integers(least, most + 1), replace=False).tolist())
        for _ in range(n)
    ]


def relevant_of(lists: Sequence[Sequence[int]]) -> Relevant:
    queries = [q for q, items in enumerate(lists) for _ in items]
    items = [item for items in lists for item in items]
    return Relevant.of(np.array(queries, np.int64), np.array(items, np.int64), len(lists))


def per_query(found: Ranks) -> dict[int, list[int]]:
    return {
        int(q): found.ranks[a:b].tolist()
        for q, a, b in zip(found.queries, found.starts[:-1], found.starts[1:], strict=True)
    }


def counted(scores: Floats, lists: Lists, *, itself: bool = False) -> dict[int, list[int]]:
    """Ranks by counting: irrelevant items of the same score before, relevant ones in turn."""
    found = {}
    for q, items in enumerate(lists):
        others = [
            score
            for item, score in enumerate(scores[q])
            if item not in items and not (itself and item == q)
        ]
        own = sorted((scores[q][item] for item in items), reverse=True)
        if own:
            found[q] = [
                sum(other >= score for other in others) + place
                for place, score in enumerate(own, 1)
            ]
    return found


def in_order(scores: Floats, lists: Lists) -> dict[int, list[int]]:
    """Ranks by sorting, where no two scores are equal."""
    place = np.empty(scores.shape, np.int64)
    columns = np.broadcast_to(np.arange(1, scores.shape[1] + 1), scores.shape)
    np.put_along_axis(place, np.argsort(-scores, axis=1), columns, 1)
    return {q: sorted(place[q, items].tolist()) for q, items in enumerate(lists) if items}


def products(queries: Tensor, gallery: Tensor) -> Floats:
    return np.asarray(queries.double().numpy() @ gallery.double().numpy().T)


# ranks ---------------------------------------------------------------------------------------


@given(
    n=st.integers(1, 9),
    m=st.integers(1, 12),
    d=st.integers(1, 4),
    most=st.integers(0, 6),
    seed=st.integers(0, 999),
)
def test_any_sizes_and_ties(n: int, m: int, d: int, most: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    queries, gallery = whole(random, n, d), whole(random, m, d)
    lists = some_of(random, n, m, min(most, m))
    found = ranks(queries, gallery, relevant_of(lists))
    assert per_query(found) == counted(products(queries, gallery), lists)


@given(n=st.integers(1, 12), classes=st.integers(1, 5), seed=st.integers(0, 999))
def test_any_classes_without_itself(n: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, codes = whole(random, n, 3), random.integers(0, classes, n)
    lists = [[j for j in range(n) if codes[j] == codes[i] and j != i] for i in range(n)]
    relevant = Relevant.same_class(codes, codes, itself=True)
    assert relevant.counts.tolist() == [len(items) for items in lists]
    found = ranks(rows, rows, relevant, itself=True)
    assert per_query(found) == counted(products(rows, rows), lists, itself=True)


@given(n=st.integers(1, 8), m=st.integers(1, 8), seed=st.integers(0, 999))
def test_classes_of_two_sides(n: int, m: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    queries, gallery = random.integers(0, 4, n), random.integers(0, 4, m)
    found = Relevant.same_class(queries, gallery, itself=False)
    lists = [np.flatnonzero(gallery == code).tolist() for code in queries]
    both = [found.items[a:b].tolist() for a, b in zip(found.starts, found.starts[1:], strict=False)]
    assert [sorted(items) for items in both] == lists


def test_against_sorting() -> None:
    random = np.random.default_rng(0)
    queries, gallery = real(random, 80), real(random, 150)
    lists = some_of(random, 80, 150, 20)
    found = ranks(queries, gallery, relevant_of(lists))
    assert per_query(found) == in_order(products(queries, gallery), lists)


def test_pairs_in_any_order() -> None:
    random = np.random.default_rng(0)
    asked, items = random.integers(0, 5, 12), random.permutation(12)
    found = Relevant.of(asked, items, 6)
    assert found.counts.tolist() == np.bincount(asked, minlength=6).tolist()
    for q in range(6):
        own = found.items[found.starts[q] : found.starts[q + 1]]
        assert own.tolist() == sorted(items[asked == q])


def test_an_irrelevant_item_of_the_same_score_counts_as_before() -> None:
    queries = torch.tensor([[1.0, 0.0]])
    gallery = torch.tensor([[1.0, 5.0], [1.0, -5.0], [0.0, 1.0], [2.0, 0.0]])
    found = ranks(queries, gallery, relevant_of([[0]]))
    assert per_query(found) == {0: [3]}
    both = ranks(queries, gallery, relevant_of([[0, 1]]))  # relevant ones stand in turn
    assert per_query(both) == {0: [2, 3]}
    assert per_query(ranks(queries, gallery, relevant_of([[0, 3]]))) == {0: [1, 3]}


def test_duplicates_of_the_relevant_item_in_the_gallery() -> None:
    random = np.random.default_rng(0)
    once = whole(random, 30, 6, 9)
    gallery = once.repeat(3, 1)
    lists = [[i] for i in range(30)]
    found = ranks(once, gallery, relevant_of(lists))
    assert found.first.min() >= 3
    assert per_query(found) == counted(products(once, gallery), lists)


@pytest.mark.parametrize("m", [2, 7, 64, 300])
@pytest.mark.parametrize("relevant", [1, 2])
def test_equal_embeddings_find_nothing(m: int, relevant: int) -> None:
    rows = torch.full((m, 16), 0.25)
    lists = [[(i + k) % m for k in range(min(relevant, m - 1))] for i in range(m)]
    found = ranks(rows, rows, relevant_of(lists))
    assert (found.first == m - len(lists[0]) + 1).all()
    classes = np.arange(m) // 2
    alone = ranks(rows, rows, Relevant.same_class(classes, classes, itself=True), itself=True)
    assert (alone.first == m - 1).all()


def test_queries_without_relevant_items_are_left_out() -> None:
    random = np.random.default_rng(0)
    queries, gallery = whole(random, 6, 3), whole(random, 8, 3)
    lists: Lists = [[], [3], [], [0, 7], [1], []]
    found = ranks(queries, gallery, relevant_of(lists))
    assert found.queries.tolist() == [1, 3, 4]
    assert found.counts.tolist() == [1, 2, 1]
    assert per_query(found) == counted(products(queries, gallery), lists)


def test_no_query_has_any() -> None:
    random = np.random.default_rng(0)
    found = ranks(whole(random, 4, 3), whole(random, 5, 3), relevant_of([[], [], [], []]))
    assert len(found.queries) == len(found.ranks) == 0
    for values in (
        found.average_precision(),
        found.precision_at_r(),
        found.average_precision_at_r(),
        found.ndcg(10),
        found.within(1),
    ):
        assert values.shape == (0,)


def test_every_item_is_relevant() -> None:
    random = np.random.default_rng(0)
    found = ranks(whole(random, 3, 2), whole(random, 7, 2), relevant_of([list(range(7))] * 3))
    assert per_query(found) == {q: list(range(1, 8)) for q in range(3)}


def test_one_query_and_one_item() -> None:
    row = torch.ones(1, 4)
    assert per_query(ranks(row, row, relevant_of([[0]]))) == {0: [1]}
    random = np.random.default_rng(0)
    gallery = whole(random, 40, 5)
    found = ranks(gallery[:1], gallery, relevant_of([[4, 9]]))
    assert per_query(found) == counted(products(gallery[:1], gallery), [[4, 9]])


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize("rows", [whole, real])
def test_sorting_gives_what_counting_gives(
    monkeypatch: pytest.MonkeyPatch, rows: object, itself: bool
) -> None:
    random = np.random.default_rng(0)
    given = whole(random, 320, 4) if rows is whole else real(random, 320)
    codes = random.choice(3, 320, p=[0.6, 0.35, 0.05])  # more and fewer than FEW
    relevant = Relevant.same_class(codes, codes, itself=itself)
    assert relevant.counts.max() > FEW
    assert relevant.counts.min() < FEW
    by_sorting = ranks(given, given, relevant, itself=itself)
    monkeypatch.setattr(module, "FEW", 10**6)
    by_counting = ranks(given, given, relevant, itself=itself)
    assert np.array_equal(by_sorting.ranks, by_counting.ranks)
    if rows is whole:
        lists = [
            [j for j in np.flatnonzero(codes == codes[i]).tolist() if not (itself and i == j)]
            for i in range(0, 320, 40)
        ]
        few = counted(products(given[::40], given), lists)
        if itself:  # leave out item q by hand
            for place, q in enumerate(range(0, 320, 40)):
                row = np.delete(products(given, given)[q], q)
                items = [j - (j > q) for j in lists[place]]
                few[place] = counted(row[None], [items])[0]
        found = per_query(by_sorting)
        assert [found[q] for q in range(0, 320, 40)] == list(few.values())


def test_blocks_of_queries_and_of_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    queries, gallery = whole(random, 1200, 4), whole(random, 50, 4)  # three blocks
    lists = some_of(random, 1200, 50, 3)
    found = ranks(queries, gallery, relevant_of(lists))
    assert per_query(found) == counted(products(queries, gallery), lists)
    monkeypatch.setattr(module, "FEW", 1)  # sorted rather than counted
    monkeypatch.setattr(linalg, "BLOCK_BYTES", 1)
    again = ranks(queries, gallery, relevant_of(lists))
    assert np.array_equal(found.ranks, again.ranks)


@pytest.mark.parametrize("in_place", [False, True])
def test_corrected_scores(in_place: bool) -> None:
    random = np.random.default_rng(0)
    queries, gallery = whole(random, 700, 4), whole(random, 30, 4)
    bias = whole(random, 1, 30, 5)
    lists = some_of(random, 700, 30, 4)

    def correct(block: Tensor) -> Tensor:
        return block.sub_(bias) if in_place else block - bias

    found = ranks(queries, gallery, relevant_of(lists), correct=correct)
    assert per_query(found) == counted(products(queries, gallery) - bias.numpy(), lists)


def test_corrected_scores_without_itself() -> None:
    random = np.random.default_rng(0)
    rows, codes = whole(random, 25, 3), np.arange(25) % 4
    bias = whole(random, 1, 25, 5)
    relevant = Relevant.same_class(codes, codes, itself=True)
    found = ranks(rows, rows, relevant, itself=True, correct=lambda block: block + bias)
    lists = [[j for j in range(25) if codes[j] == codes[i] and j != i] for i in range(25)]
    expected = counted(products(rows, rows) + bias.numpy(), lists, itself=True)
    assert per_query(found) == expected


def test_inputs_are_not_changed() -> None:
    random = np.random.default_rng(0)
    rows = real(random, 20)
    before = rows.clone()
    codes = np.arange(20) % 3
    ranks(rows, rows, Relevant.same_class(codes, codes, itself=True), itself=True)
    assert torch.equal(rows, before)


# metrics -------------------------------------------------------------------------------------


class Asked:
    """Queries, the scores of all items, and which are relevant; no two scores are equal."""

    def __init__(self, n: int = 40, m: int = 120, most: int = 15) -> None:
        random = np.random.default_rng(1)
        queries, gallery = real(random, n), real(random, m)
        self.lists = some_of(random, n, m, most, least=1)
        self.scores = products(queries, gallery)
        self.truth = np.zeros((n, m), np.int64)
        for q, items in enumerate(self.lists):
            self.truth[q, items] = 1
        self.found = ranks(queries, gallery, relevant_of(self.lists))
        order = np.argsort(-self.scores, axis=1)
        self.sorted = np.take_along_axis(self.truth, order, 1)  # relevance in order of score


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


def test_average_precision_against_sklearn(asked: Asked) -> None:
    expected = [
        average_precision_score(t, s) for t, s in zip(asked.truth, asked.scores, strict=True)
    ]
    assert asked.found.average_precision() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10, 50, 120, 500])
def test_ndcg_against_sklearn(asked: Asked, k: int) -> None:
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
def test_metrics_against_torchmetrics(asked: Asked, name: str, k: int | None) -> None:
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
def by_ranx(asked: Asked) -> dict[str, Floats]:
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


def test_metrics_against_ranx(asked: Asked, by_ranx: dict[str, Floats]) -> None:
    assert asked.found.average_precision() == pytest.approx(by_ranx["map"], abs=1e-12)
    assert asked.found.ndcg(10) == pytest.approx(by_ranx["ndcg@10"], abs=1e-12)
    assert asked.found.ndcg(100) == pytest.approx(by_ranx["ndcg@100"], abs=1e-12)


def test_map_at_r_by_its_definition(asked: Asked) -> None:
    # Musgrave et al. 2020: 1/R Σ_{i ≤ R} P(i), where P(i) is precision at i if i is relevant, or 0
    expected = []
    for row in asked.sorted:
        r = row.sum()
        expected.append(sum(row[: i + 1].mean() * row[i] for i in range(r)) / r)
    assert asked.found.average_precision_at_r() == pytest.approx(expected, abs=1e-12)


def test_recall_by_its_definition(asked: Asked) -> None:
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
