"""Search and classification across two sets of embeddings, against libraries and by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import two_cones
from search.cases import (
    BY_HAND,
    FIRST,
    JUDGED,
    ORDER,
    TRUTH,
    Floats,
    at,
    captions,
    details,
    judged,
    numbers,
    stack,
    twice,
)
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP, RetrievalRPrecision

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.search import PROTOCOLS, query_side, search

REVISITED = ("easy", "medium", "hard")


def real(random: np.random.Generator, n: int, d: int = 6) -> Floats:
    return random.normal(size=(n, d))


# by hand ------------------------------------------------------------------------------------------


def test_split_by_hand() -> None:
    queries = Embeddings(at(0, 50, 20), factors={"class": ["x", "y", "z"]})
    gallery = Embeddings(at(10, 20, 30, 40), factors={"class": ["y", "x", "x", "y"]})
    found = search(queries, gallery)
    # x at ranks 2 and 3, y at 1 and 4; nothing is z
    expected = {
        "map": ((1 / 2 + 2 / 3) / 2 + (1 + 2 / 4) / 2) / 2,
        "map_at_r": (1 / 2 / 2 + 1 / 2) / 2,
        "r_precision": 1 / 2,
        "r1": 1 / 2,
    }
    assert numbers(found) == pytest.approx(expected, abs=1e-12)
    assert details(found) == {"classes_by": "class", "asked": 3, "left_out": 1, "searched": 4}
    for value in found.values():
        assert value.params == {
            "protocol": "split", "factor": None, "asked": 3, "left_out": 1, "seed": 0,
            "better": "higher",
        }  # fmt: skip
        assert value.interval is None  # two queries cannot be resampled


def test_self_removed_by_hand() -> None:
    gallery = Embeddings(
        at(0, 10, 30, 70, 100), names=list("abcde"), factors={"label": [0, 1, 0, 1, 2]}
    )
    queries = Embeddings(
        at(99, 1, 66), "text", list("ead"), {"label": [2, 0, 1]}, {"inverted_from": "image"}
    )
    found = search(queries, gallery, "self_removed")
    # a finds b, c: rank 2; d finds e, c, b: rank 3; e is the only one of its class
    expected = {"map": (1 / 2 + 1 / 3) / 2, "map_at_r": 0, "r_precision": 0, "r1": 0}
    assert numbers(found) == pytest.approx(expected, abs=1e-12)
    assert details(found)["left_out"] == 1


@pytest.mark.parametrize("by", ["row", "names"])
@pytest.mark.parametrize("kind", ["pair", "embeddings"])
def test_first_caption_by_hand(by: str, kind: str) -> None:
    pair = captions()
    rows = [1, 5, 3, 0]
    queries = Embeddings(
        at(50, 90, 5, 0),
        names=[pair.text.names[i] for i in rows] if by == "names" and pair.text.names else None,
        factors={"row": rows} if by == "row" else None,
    )
    if kind == "pair":
        found = search(queries, pair, "first_caption")
    else:
        found = search(queries, pair.text, "first_caption", factor="of")
    assert numbers(found) == pytest.approx(FIRST, abs=1e-12)
    assert details(found) == {
        "classes_by": "text_to_image" if kind == "pair" else "of",
        "not_first": 1,
        "asked": 3,
        "left_out": 1,
        "searched": 3,
    }


def test_first_captions_may_be_told_by_a_factor_of_a_pair() -> None:
    pair = captions()
    queries = Embeddings(at(0, 5, 90), factors={"row": [0, 3, 5]})
    assert numbers(search(queries, pair, "first_caption", factor="of")) == pytest.approx(FIRST)


def test_a_caption_that_repeats_is_told_by_its_row() -> None:
    texts = Embeddings(at(0, 50, 20, 5, 30, 90), "text", list("abaacc"))
    pair = Pair(at(0, 1, 2), texts, [0, 0, 0, 1, 1, 2])
    by_row = Embeddings(at(0, 5), names=["a", "a"], factors={"row": [0, 3]})
    assert numbers(search(by_row, pair, "first_caption")) == pytest.approx(FIRST, abs=1e-12)
    by_name = Embeddings(at(0, 5), names=["b", "a"])
    with pytest.raises(errors.InputError, match=r"no factor 'row': names .* 'a' more than once"):
        search(by_name, pair, "first_caption")
    only = twice(names=["b"])  # which is there once, but no first caption
    with pytest.raises(errors.NotApplicable, match="no query is the first caption"):
        search(only, pair, "first_caption")


@pytest.mark.parametrize("protocol", REVISITED)
def test_revisited_by_hand(protocol: str) -> None:
    gallery = Embeddings(at(5, 10, 20, 30, 40, 50, 60), names=ORDER)
    found = search(twice(**TRUTH), gallery, protocol)
    assert list(found) == ["map", "mp_1", "mp_5", "mp_10"]
    assert list(numbers(found).values()) == pytest.approx(BY_HAND[protocol], abs=1e-12)
    assert details(found) == {"missing": 0, "asked": 2, "left_out": 0, "searched": 7}


def test_a_first_relevant_image_at_the_second_place() -> None:
    gallery = Embeddings(at(1, 2, 3, 4), names=["junk", "none", "hit", "more"])
    queries = twice(**judged(["hit"], ["more"], ["junk"]))
    # none hit more: at 1 (0/1 + 1/2)/2, at 2 (1/2 + 2/3)/2
    found = search(queries, gallery, "medium")
    expected = {"map": (1 / 4 + 7 / 12) / 2, "mp_1": 0, "mp_5": 2 / 3, "mp_10": 2 / 3}
    assert numbers(found) == pytest.approx(expected, abs=1e-12)
    assert numbers(search(queries, gallery, "easy"))["map"] == pytest.approx(1 / 4)


def test_revisited_queries_without_a_relevant_image_are_left_out() -> None:
    truth = stack(TRUTH, judged([], [], ["easy1"]), judged(["easy1"], [], ["junk1"]))
    gallery = Embeddings(at(5, 10, 20, 30, 40, 50, 60), names=ORDER)
    queries = Embeddings(at(0, 0, 0), factors=truth)
    found = search(queries, gallery, "hard")
    assert list(numbers(found).values()) == pytest.approx(BY_HAND["hard"])
    assert (details(found)["asked"], details(found)["left_out"]) == (3, 2)
    junk = twice(**judged([], [], ORDER))
    with pytest.raises(errors.NotApplicable, match="easy: nothing in the gallery is relevant"):
        search(junk, gallery, "easy")


def test_roles_of_one_file() -> None:
    roles = ["query"] * 2 + ["gallery"] * len(ORDER)
    empty = judged([], [], [])
    both = Embeddings(
        at(0, 90, 5, 10, 20, 30, 40, 50, 60),
        names=["query/a", "query/b", *ORDER],
        factors={"role": roles, **stack(TRUTH, *[empty] * (len(roles) - 1))},
    )
    for protocol in REVISITED:
        found = search(both, both, protocol)
        assert list(numbers(found).values()) == pytest.approx(BY_HAND[protocol])
        assert details(found)["searched"] == len(ORDER)
        assert details(found)["asked"] == 2


def test_images_that_are_not_in_the_gallery_are_counted() -> None:
    gallery = Embeddings(at(5, 10, 20, 30, 40), names=ORDER[:5])
    lost = judged(["easy1", "easy2", "lost"], ["hard1"], ["gone"])
    found = search(twice(**lost), gallery, "easy")
    assert details(found)["missing"] == 2


# against others -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_split_against_torchmetrics(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = real(random, 40), real(random, 70)
    ours, theirs = random.integers(0, 9, 40), random.integers(0, 8, 70)
    found = search(Embeddings(x, factors={"c": ours}), Embeddings(y, factors={"c": theirs}))
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y)]
    scores = unit[0] @ unit[1].T
    truth = ours[:, None] == theirs
    flat = (
        torch.from_numpy(scores.ravel()) + 2,  # it drops scores below 0
        torch.from_numpy(truth.ravel()),
        torch.arange(40).repeat_interleave(70),
    )
    for name, metric in (
        ("map", RetrievalMAP(empty_target_action="skip")),
        ("r_precision", RetrievalRPrecision(empty_target_action="skip")),
        ("r1", RetrievalHitRate(empty_target_action="skip", top_k=1)),
    ):
        assert found[name].value == pytest.approx(float(metric(*flat)), abs=1e-6)
    at_r = []
    for row, relevant in zip(scores, truth, strict=True):
        hits = relevant[np.argsort(-row)].tolist()
        r = sum(hits)
        if r:
            at_r.append(sum(hits[i] * sum(hits[: i + 1]) / (i + 1) for i in range(r)) / r)
    assert found["map_at_r"].value == pytest.approx(np.mean(at_r), abs=1e-12)
    assert details(found)["left_out"] == 40 - len(at_r)
    assert all(v.interval and v.interval[0] <= v.value <= v.interval[1] for v in found.values())


def walked(order: Sequence[str], positive: set[str], ignored: set[str]) -> dict[str, float] | None:
    """The revisited numbers of one query: a walk down its ranking, past what is ignored."""
    if not positive:
        return None
    place = hits = 0
    area = 0.0
    places = []
    for name in order:
        if name in ignored:
            continue
        if name in positive:
            before = hits / place if place else 1.0
            hits += 1
            area += (before + hits / (place + 1)) / 2
            places.append(place + 1)
        place += 1
    found = {"map": area / len(positive)}
    for k in (1, 5, 10):
        depth = min(max(places), k)
        found[f"mp_{k}"] = sum(each <= depth for each in places) / depth
    return found


def revisited_case(seed: int, n: int = 12, m: int = 30) -> tuple[Floats, Floats, list[list[str]]]:
    """Queries, gallery, and of each query what each item is judged to be."""
    random = np.random.default_rng(seed)
    kinds = random.choice([*JUDGED, "none"], (n, m), p=[0.15, 0.1, 0.25, 0.5])
    kinds[0] = "junk"
    kinds[1] = "none"
    kinds[2, :3] = JUDGED
    return real(random, n), real(random, m), kinds.tolist()


def truth_of(kinds: list[list[str]], names: Sequence[str]) -> dict[str, list[str]]:
    return {
        key: [json.dumps([n for n, k in zip(names, row, strict=True) if k == key]) for row in kinds]
        for key in JUDGED
    }


@pytest.mark.parametrize("protocol", REVISITED)
@pytest.mark.parametrize("seed", range(3))
def test_revisited_against_a_walk(protocol: str, seed: int) -> None:
    x, y, kinds = revisited_case(seed)
    names = [f"{i}.jpg" for i in range(len(y))]
    found = search(
        Embeddings(x, factors=truth_of(kinds, names)), Embeddings(y, names=names), protocol
    )
    wanted = {"easy": {"easy"}, "medium": {"easy", "hard"}, "hard": {"hard"}}[protocol]
    scores = x @ (y / np.linalg.norm(y, axis=1, keepdims=True)).T
    each = []
    for row, kind in zip(scores, kinds, strict=True):
        of = dict(zip(names, kind, strict=True))
        positive = {name for name in names if of[name] in wanted}
        ignored = {name for name in names if of[name] in {*JUDGED} - wanted}
        each.append(walked([names[i] for i in np.argsort(-row)], positive, ignored))
    some = [one for one in each if one is not None]
    expected = {name: float(np.mean([one[name] for one in some])) for name in some[0]}
    assert numbers(found) == pytest.approx(expected, abs=1e-9)
    assert details(found)["left_out"] == len(each) - len(some) >= 2


def test_self_removed_is_the_task_within() -> None:
    images, texts = two_cones(60, 8)
    labels = np.arange(60) % 7
    pair = Pair(Embeddings(images, names=[f"{i}" for i in range(60)]), texts[:7], labels=labels)
    found = search(query_side(pair), pair, "self_removed", seed=3)
    within = mg.evaluate(pair, "within", seed=3)
    for name, value in found.items():
        assert value.value == pytest.approx(within[f"within.image_{name}"].value, abs=1e-12)
        assert value.interval == pytest.approx(within[f"within.image_{name}"].interval, abs=1e-12)


# properties ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=st.integers(0, 9999))
def test_the_order_of_the_gallery_changes_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y, kinds = revisited_case(seed, 6, 15)
    order = random.permutation(15)
    names = np.array([f"n{i}" for i in range(15)])
    ours, theirs = random.integers(0, 3, 6), random.integers(0, 3, 15)
    theirs[0] = ours[0]
    theirs[1] = ours[0]
    queries = Embeddings(x, names=names[:6].tolist(), factors={"c": ours, **truth_of(kinds, names)})
    before = Embeddings(y, names=names.tolist(), factors={"c": theirs})
    after = Embeddings(y[order], names=names[order].tolist(), factors={"c": theirs[order]})
    for protocol in set(PROTOCOLS) - {
        "first_caption",
        "zero_shot",
    }:  # order says which caption is first
        found = [numbers(search(queries, gallery, protocol)) for gallery in (before, after)]
        assert found[0] == pytest.approx(found[1], abs=1e-12)


@settings(max_examples=30)
@given(seed=st.integers(0, 9999), more=st.integers(1, 8))
def test_more_junk_changes_nothing(seed: int, more: int) -> None:
    x, y, kinds = revisited_case(seed, 5, 12)
    names = [f"n{i}" for i in range(12 + more)]
    extra = np.concatenate([y, real(np.random.default_rng(seed + 1), more)])
    junk = [[*row, *["junk"] * more] for row in kinds]
    for protocol in REVISITED:
        found = [
            numbers(search(Embeddings(x, factors=truth_of(k, n)), Embeddings(g, names=n), protocol))
            for k, n, g in ((kinds, names[:12], y), (junk, names, extra))
        ]
        assert found[0] == pytest.approx(found[1], abs=1e-12)


@given(seed=st.integers(0, 9999), n=st.integers(1, 7), m=st.integers(1, 12))
def test_ignored_items_are_as_if_they_were_not_there(seed: int, n: int, m: int) -> None:
    random = np.random.default_rng(seed)
    rows = [torch.from_numpy(random.integers(-2, 3, (k, 3)).astype(np.float32)) for k in (n, m)]
    wanted, out = random.random((n, m)) < 0.3, random.random((n, m)) < 0.4

    def listed(flags: NDArray[np.bool_]) -> Relevant:
        return Relevant.of(*np.nonzero(flags), n)

    whole = ranks(*rows, listed(wanted), ignored=listed(out))
    for q, a, b in zip(whole.queries, whole.starts[:-1], whole.starts[1:], strict=True):
        kept = wanted[q] | ~out[q]  # what is relevant stays
        alone = ranks(
            rows[0][q : q + 1], rows[1][torch.from_numpy(kept)],
            Relevant.of(*np.nonzero(wanted[q : q + 1, kept]), 1),
        )  # fmt: skip
        assert whole.ranks[a:b].tolist() == alone.ranks.tolist()


def test_spans_of_queries_and_sorting_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    codes = random.choice(4, 90, p=[0.7, 0.2, 0.05, 0.05])
    names = [str(i) for i in range(90)]
    side = Embeddings(real(random, 90), names=names, factors={"label": codes})
    before = [search(side, side, protocol).to_dict() for protocol in ("split", "self_removed")]
    monkeypatch.setattr("modalgap.evaluate.ranks.FEW", 3)
    monkeypatch.setattr(sys.modules["modalgap.search.ranking"], "AT_ONCE", 100)
    assert before == [
        search(side, side, protocol).to_dict() for protocol in ("split", "self_removed")
    ]


def test_numbers_of_known_ranks() -> None:
    # relevant at 1, 3 and 6; and at 4
    found = Ranks(np.array([0, 2]), np.array([0, 3, 4]), np.array([1, 3, 6, 4]))
    trapezoids = (1 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 3
    assert found.trapezoid_precision() == pytest.approx([trapezoids, (0 + 1 / 4) / 2])
    assert found.precision_at(1) == pytest.approx([1, 0])
    assert found.precision_at(5) == pytest.approx([2 / 5, 1 / 4])
    assert found.precision_at(10) == pytest.approx([3 / 6, 1 / 4])
    none = Ranks(*(np.array(each, np.int64) for each in ([], [0], [])))
    assert none.trapezoid_precision().shape == none.precision_at(5).shape == (0,)
