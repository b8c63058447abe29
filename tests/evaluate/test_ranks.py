"""Ranks against sorting and counting one query at a time, their metrics against libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluate.rank_cases import Floats, Lists, products, real, relevant_of, some_of, whole
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from modalgap import linalg
from modalgap.evaluate import ranks as module
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import FEW, Ranks, Relevant


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
