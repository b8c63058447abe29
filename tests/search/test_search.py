"""Search and classification across two sets of embeddings, against libraries and by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import two_cones
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP, RetrievalRPrecision

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate.ranks import Ranks, Relevant, ranks
from modalgap.result import Result
from modalgap.search import PROTOCOLS, query_side, search

JUDGED = ("easy", "hard", "junk")
classify = partial(search, protocol="zero_shot")
REVISITED = ("easy", "medium", "hard")
Floats = NDArray[np.float64]


def at(*degrees: float) -> Floats:
    """Rows on the circle: the nearer the angle, the higher the score."""
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], 1)


def twice(*, names: Sequence[str] | None = None, **factors: Sequence[Any]) -> Embeddings:
    """Two equal queries at 0°, as embeddings of one row are none."""
    return Embeddings(
        at(0, 0),
        names=names and [*names, *names],
        factors={name: [*values, *values] for name, values in factors.items()},
    )


def numbers(found: Result) -> dict[str, float]:
    return {name: value.value for name, value in found.items()}


def details(found: Result) -> Mapping[str, Any]:
    return next(iter(found.values())).details


def real(random: np.random.Generator, n: int, d: int = 6) -> Floats:
    return random.normal(size=(n, d))


# by hand -------------------------------------------------------------------------------------


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


def captions() -> Pair:
    """Three images: captions 0, 1 and 2; 3 and 4; and 5, which is alone."""
    texts = Embeddings(at(0, 50, 20, 5, 30, 90), "text", list("abcdef"), {"of": list("uuuvvw")})
    return Pair(at(0, 1, 2), texts, [0, 0, 0, 1, 1, 2])


FIRST = {  # 0 finds 2, 4, 1: ranks 1 and 3; 3 finds 2, 4: rank 2; no other caption of 5
    "map": ((1 + 2 / 3) / 2 + 1 / 2) / 2,
    "map_at_r": (1 / 2 + 0) / 2,
    "r_precision": (1 / 2 + 0) / 2,
    "r1": 1 / 2,
}


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


def judged(easy: Sequence[str], hard: Sequence[str], junk: Sequence[str]) -> dict[str, list[str]]:
    lists = (easy, hard, junk)
    return {key: [json.dumps(list(each))] for key, each in zip(JUDGED, lists, strict=True)}


def stack(*each: dict[str, list[str]]) -> dict[str, list[str]]:
    return {key: [value for one in each for value in one[key]] for key in each[0]}


ORDER = ["junk1", "easy1", "hard1", "none1", "easy2", "none2", "junk2"]
TRUTH = judged(["easy1", "easy2"], ["hard1"], ["junk1", "junk2"])
BY_HAND = {
    # easy1 none1 easy2: at 0 (1 + 1)/2, at 2 (1/2 + 2/3)/2
    "easy": ((1 + 7 / 12) / 2, 1, 2 / 3, 2 / 3),
    # easy1 hard1 none1 easy2: at 0 (1 + 1)/2, at 1 (1/1 + 2/2)/2, at 3 (2/3 + 3/4)/2
    "medium": ((1 + 1 + 17 / 24) / 3, 1, 3 / 4, 3 / 4),
    # hard1
    "hard": (1, 1, 1, 1),
}


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


# against others ------------------------------------------------------------------------------


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


# properties ----------------------------------------------------------------------------------


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


# classes, sides and models -------------------------------------------------------------------


def labelled() -> Pair:
    """Four images of two classes, and their prompts."""
    image = Embeddings(at(10, 20, 30, 40), factors={"kind": list("yxxy")})
    return Pair(image, Embeddings(at(15, 35), "text", ["cat", "dog"]), labels=[1, 0, 0, 1])


@pytest.mark.parametrize(
    ("factors", "factor", "by"),
    [
        ({"label": [0, 1]}, None, "label"),
        ({"label": [0, 1], "kind": ["y", "x"]}, None, "label"),
        ({"label": [0, 1], "kind": ["x", "y"]}, "kind", "kind"),
        ({"kind": ["x", "y"], "row": [0, 1], "role": ["a", "b"]}, None, "kind"),
        ({"label": [0, 1]}, "label", "label"),
    ],
)
def test_where_classes_come_from(factors: dict[str, Any], factor: str | None, by: str) -> None:
    found = search(Embeddings(at(0, 50), factors=factors), labelled(), factor=factor)
    assert found["map"].value == pytest.approx(((1 / 2 + 2 / 3) / 2 + (1 + 2 / 4) / 2) / 2)
    assert details(found)["classes_by"] == by
    assert found["map"].params["factor"] == factor


def test_strings_in_label_are_not_the_numbers_of_prompts() -> None:
    image = Embeddings(at(10, 20), factors={"label": ["cat", "dog"]})
    pair = Pair(image, Embeddings(at(15, 35), "text"), labels=[1, 0])
    queries = twice(label=["cat"])
    assert search(queries, pair)["r1"].value == 1


@pytest.mark.parametrize(
    ("modality", "inverted", "right"),
    [("image", "", 1), ("text", "image", 1), ("text", "", 0), ("image", "text", 0)],
)
def test_the_side_of_a_pair(modality: str, inverted: str, right: float) -> None:
    image = Embeddings(at(0, 90), factors={"c": [0, 1]})
    pair = Pair(image, Embeddings(at(0, 90), "text", factors={"c": [1, 0]}))
    made = {"inverted_from": inverted} if inverted else {}
    queries = Embeddings(at(1, 89), modality, factors={"c": [0, 1]}, provenance=made)
    found = search(queries, pair)
    assert found["r1"].value == right
    side = "image" if right else "text"
    assert found.pair["modalities"] == {"queries": modality, "gallery": side}


def test_the_result_describes_both_inputs() -> None:
    pair = labelled()
    queries = Embeddings(
        at(0, 50) * 2, "text", factors={"label": [0, 1]},
        provenance={"inverted_from": "image", "weights_hash": "1"},
    )  # fmt: skip
    about = search(queries, pair).pair
    assert (about["n_queries"], about["n_gallery"], about["dim"]) == (2, 4, 2)
    assert about["queries"]["fingerprint"] == queries.fingerprint
    assert about["queries"]["provenance"]["text"]["inverted_from"] == "image"
    assert not about["queries"]["were_unit"]["text"]
    assert about["gallery"]["fingerprint"] == pair.fingerprint
    other = Embeddings(at(0, 51), "text", factors={"label": [0, 1]})
    assert classify(other, pair).pair["fingerprint"] != about["fingerprint"]
    json.loads(search(queries, pair).to_json())


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ({"weights_hash": "a1"}, {"weights_hash": "a1", "model": "B"}, None),
        ({"weights_hash": "a1", "model": "A"}, {"weights_hash": "a1", "model": "B"}, None),
        ({"model": "A"}, {"weights_hash": "b2"}, None),
        ({}, {"model": "B", "weights_hash": "b2"}, None),
        ({"model": "A"}, {"model": "B", "weights_hash": "b2"}, "got A and B"),
        (
            {"model": "A", "weights_hash": "a1"},
            {"model": "A", "weights_hash": "b2"},
            r"got A \(weights_hash a1\) and A \(weights_hash b2\)",
        ),
    ],
)
def test_features_of_two_models_are_refused(
    ours: dict[str, str], theirs: dict[str, str], words: str | None
) -> None:
    queries = Embeddings(at(0, 9), "text", factors={"c": ["a", "b"]}, provenance=ours)
    gallery = Embeddings(at(0, 9), "image", ["a", "b"], {"c": ["a", "b"]}, theirs)
    if words is None:
        assert search(queries, gallery)["r1"].value == 1
        assert classify(queries, gallery)["top1"].value == 1
        return
    for verb in (search, classify):
        with pytest.raises(errors.InputError, match=f"features of one model; {words}"):
            verb(queries, gallery)


# classification ------------------------------------------------------------------------------


def test_classify_by_hand() -> None:
    prompts = Embeddings(at(0, 20, 40, 60, 80, 100), "text", list("abcdef"))
    queries = Embeddings(at(1, 22, 45, 99, 0), "text", factors={"class": list("aacff")})
    found = classify(queries, prompts)
    # right, wrong, right, right, wrong; f is the last for the query at 0
    expected = {"top1": 3 / 5, "top5": 4 / 5, "mean_per_class": (1 / 2 + 1 + 1 / 2) / 3}
    assert numbers(found) == pytest.approx(expected, abs=1e-12)
    assert found["top1"].params == {
        "factor": None, "asked": 5, "left_out": 0, "seed": 0, "better": "higher"
    }  # fmt: skip
    assert details(found)["classes_by"] == "class"


def test_classify_is_the_task_zero_shot() -> None:
    images, _ = two_cones(50, 8)
    labels = np.arange(50) % 6
    names = [f"class {i}" for i in range(6)]
    pair = Pair(images, Embeddings(images[:6], "text", names), labels=labels)
    task = mg.evaluate(pair, "zero_shot", seed=2)
    by_name = Embeddings(
        images, "text", factors={"what": [names[i] for i in labels], "label": labels}
    )
    for queries, prompts, factor in (
        (query_side(pair), pair, None),
        (query_side(pair), pair, "label"),
        (by_name, pair, "what"),
        (by_name, pair.text, "what"),
    ):
        found = classify(queries, prompts, factor=factor, seed=2)
        for name, value in found.items():
            expected = task[f"zero_shot.{name}"]
            assert (value.value, value.interval) == (expected.value, expected.interval)


def test_integers_are_found_by_name_too() -> None:
    prompts = Embeddings(at(0, 90), "text", ["7", "8"])
    queries = Embeddings(at(80, 10), factors={"label": [8, 7]})
    assert classify(queries, prompts)["top1"].value == 1
    pair = Pair(at(0, 9), prompts, labels=[0, 0])  # whose labels count prompts
    with pytest.raises(errors.InputError, match=r"'label' must lie in 0 … 1 \(the prompts\)"):
        classify(queries, pair)


# refusals ------------------------------------------------------------------------------------


def two(**more: Any) -> Embeddings:
    return Embeddings(at(0, 9), **more)


TWO = two(names=["a", "b"], factors={"c": ["x", "y"]})
ROWS = two(names=["a", "b"], factors={"of": [0, 0], "row": [0, 1]})
GIVEN = judged(["a"], ["b"], ["z"])


@pytest.mark.parametrize(
    ("queries", "gallery", "options", "kind", "words"),
    [
        (TWO, TWO, {"protocol": "spilt"}, "OptionError", "protocol 'spilt'; did you mean 'split'"),
        (TWO, TWO, {"protocol": 3}, "OptionError", "protocol must be a string; got 3"),
        (TWO, TWO, {"factor": 3}, "OptionError", "factor must be a string or None; got 3"),
        (TWO, TWO, {"seed": -1}, "OptionError", "seed must be"),
        (labelled(), TWO, {}, "OptionError", "queries must be Embeddings; got Pair"),
        (TWO, at(0), {}, "OptionError", "gallery must be Embeddings or a Pair; got ndarray"),
        (Embeddings(np.eye(3)), TWO, {}, "InputError", "same width; got 3 and 2"),
        (TWO, TWO, {"factor": "d"}, "NotApplicable", "queries need the factor 'd'; there is c"),
        (TWO, two(), {"factor": "c"}, "NotApplicable", "gallery needs the factor 'c'; there"),
        (TWO, two(), {}, "NotApplicable", "must share one factor .* have c; gallery has none"),
        (
            twice(c=[0], d=[0]), twice(c=[0], d=[0]), {},
            "NotApplicable", "must share one factor .* have c, d; gallery has c, d",
        ),
        (
            twice(c=[0]), TWO, {},
            "InputError", "'c': must be integers .* queries have integers, gallery has strings",
        ),
        (twice(c=["z"]), TWO, {}, "NotApplicable", "split: nothing in the gallery"),
        (
            two(modality="audio"), labelled(), {},
            "InputError", "side of modality 'audio', as the queries have; found image and text",
        ),
        (
            twice(c=["x"]), TWO, {"protocol": "self_removed"},
            "NotApplicable", "the queries must have names",
        ),
        (
            TWO, twice(c=["x"]), {"protocol": "self_removed"},
            "NotApplicable", "the gallery must have names",
        ),
        (
            TWO, two(names=["a", "a"], factors={"c": ["x", "y"]}),
            {"protocol": "self_removed"}, "InputError", "gallery: names .* 'a' more than once",
        ),
        (
            TWO, two(names=["a", "c"], factors={"c": ["x", "y"]}),
            {"protocol": "self_removed"}, "InputError", "must be in the gallery; 'b' is not",
        ),
        (ROWS, ROWS, {"protocol": "first_caption"}, "NotApplicable", "gallery has of, row"),
        (
            ROWS, ROWS, {"protocol": "first_caption", "factor": "on"},
            "NotApplicable", "needs the factor 'on'",
        ),
        (ROWS, labelled(), {"protocol": "first_caption"}, "NotApplicable", "are not captions"),
        (
            twice(row=[2]), ROWS, {"protocol": "first_caption", "factor": "of"},
            "InputError", r"'row' must lie in 0 … 1 \(the rows of the gallery\); row 0 holds 2",
        ),
        (
            twice(row=["2"]), ROWS, {"protocol": "first_caption", "factor": "of"},
            "InputError", "'row' must hold integers; found strings",
        ),
        (
            two(), ROWS, {"protocol": "first_caption", "factor": "of"},
            "NotApplicable", "queries, without a factor 'row', must have names",
        ),
        (
            twice(row=[1]), ROWS,
            {"protocol": "first_caption", "factor": "of"}, "NotApplicable", "is the first caption",
        ),
        (TWO, TWO, {"protocol": "hard"}, "NotApplicable", "factors easy, hard, junk; there is c"),
        (
            twice(**GIVEN), TWO, {"protocol": "hard", "factor": "c"},
            "OptionError", "factor: must not be set; easy, hard, junk define",
        ),
        (twice(**GIVEN), two(), {"protocol": "easy"}, "NotApplicable", "must have names"),
        (
            twice(**GIVEN), two(names=["a", "a"]), {"protocol": "easy"},
            "InputError", "gallery: names must be different; found 'a' more than once",
        ),
        (
            twice(**judged(["a"], ["a"], [])), TWO, {"protocol": "easy"},
            "InputError", "must name each image once; row 0 names 'a' twice",
        ),
        (
            twice(**{**GIVEN, "junk": ["a"]}), TWO, {"protocol": "easy"},
            "InputError", "'junk' must hold JSON lists of names; row 0 holds 'a'",
        ),
        (
            twice(**{**GIVEN, "junk": ["[1]"]}), TWO, {"protocol": "easy"},
            "InputError", "'junk' must hold JSON lists of names",
        ),
        (
            twice(**{**GIVEN, "role": ["gallery"]}), TWO, {"protocol": "easy"},
            "InputError", "queries: must hold rows of role 'query'; there is gallery",
        ),
        (
            twice(**GIVEN), twice(names=["a"], role=["query"]),
            {"protocol": "easy"}, "InputError", "gallery: must hold rows of role 'gallery'",
        ),
    ],
)  # fmt: skip
def test_refusals(queries: Any, gallery: Any, options: Any, kind: str, words: str) -> None:
    with pytest.raises(getattr(errors, kind), match=words) as caught:
        search(queries, gallery, **options)
    assert type(caught.value).__name__ == kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("queries", "prompts", "options", "kind", "words"),
    [
        (labelled(), TWO, {}, "OptionError", "queries must be Embeddings; got Pair"),
        (TWO, None, {}, "OptionError", "gallery must be Embeddings or a Pair; got None"),
        (TWO, TWO, {"factor": 1}, "OptionError", "factor must be a string"),
        (Embeddings(np.eye(3)), TWO, {}, "InputError", "queries and prompts: .* got 3 and 2"),
        (two(), TWO, {}, "NotApplicable", "a factor that names their class; there is none"),
        (ROWS, TWO, {}, "NotApplicable", "names their class; there is of, row"),
        (TWO, TWO, {"factor": "d"}, "NotApplicable", "need the factor 'd'; there is c"),
        (TWO, two(), {}, "NotApplicable", "prompts must have names, which 'c' refers to"),
        (TWO, two(names=["x", "x"]), {}, "InputError", "prompts: names .* 'x' more than once"),
        (TWO, two(names=["x", "z"]), {}, "InputError", "no prompt is named 'y'"),
    ],
)
def test_refusals_to_classify(
    queries: Any, prompts: Any, options: Any, kind: str, words: str
) -> None:
    with pytest.raises(getattr(errors, kind), match=words) as caught:
        classify(queries, prompts, **options)
    assert type(caught.value).__name__ == kind


# command line --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of queries and galleries."""
    folder = tmp_path_factory.mktemp("search")
    images, texts = two_cones(30, 6)
    labels = np.arange(30) % 3
    pair = Pair(
        Embeddings(images, names=[f"{i}.jpg" for i in range(30)]),
        Embeddings(texts[:3], "text", ["cat", "dog", "owl"]),
        labels=labels,
    )
    inverted = Embeddings(
        images + 0.1, "text", pair.image.names, {"label": np.where(labels == 2, 9, labels)},
        {"inverted_from": "image"},
    )  # fmt: skip
    named = Embeddings(images, factors={"class": np.array(["cat", "dog", "owl"])[labels]})
    both = Embeddings(
        at(0, 5, 10, 20, 30, 40, 50, 60), names=["query/a", *ORDER],
        factors={"role": ["query", *["gallery"] * 7], **stack(TRUTH, *[judged([], [], [])] * 7)},
    )  # fmt: skip
    made: dict[str, Pair | Embeddings] = {
        "pair": pair, "inverted": inverted, "named": named, "captions": captions(), "both": both,
    }  # fmt: skip
    return {name: mg.save(each, folder / f"{name}.safetensors") for name, each in made.items()}


def said(out: str) -> dict[str, float]:
    """Of a table: the value of each number."""
    lines = [line.split() for line in out.splitlines()]
    names = {"map", "map_at_r", "r_precision", "r1", "mp_1", "mp_5", "mp_10", *("top1", "top5")}
    return {words[0]: float(words[1]) for words in lines if words and words[0] in names}


def test_search_on_the_command_line(run: Run, files: dict[str, Path]) -> None:
    arguments = (files["pair"], "--query", files["inverted"])
    code, out, err = run("search", *arguments)
    assert code == 0
    expected = search(
        mg.embeddings.store.load_embeddings(files["inverted"]), mg.load(files["pair"])
    )
    assert said(out) == pytest.approx(numbers(expected), rel=1e-3)
    assert "30 queries (text) and 30 gallery (image), 6 dimensions" in out
    assert PROTOCOLS["split"].about in " ".join(out.split())
    assert "modalgap: 10 of 30 queries have nothing relevant in the gallery; left out" in err
    assert "text rows were not unit" in err
    code, out, _ = run("search", *arguments, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(expected.to_json())


@pytest.mark.parametrize(
    ("query", "gallery", "arguments", "name", "value"),
    [
        ("pair", "pair", ["--protocol", "self_removed"], "map", None),
        ("captions", "captions", ["--protocol", "first_caption"], "map", FIRST["map"]),
        ("both", "both", ["--protocol", "medium"], "map", BY_HAND["medium"][0]),
        ("named", "named", ["--factor", "class", "--seed", "3"], "r1", 1),
    ],
)
def test_protocols_on_the_command_line(
    run: Run, files: dict[str, Path], query: str, gallery: str, arguments: list[str], name: str,
    value: float | None,
) -> None:  # fmt: skip
    given = [files[gallery], "--query", files[query], *arguments]
    code, out, _ = run("search", *given, "--json")
    assert code == 0
    found = json.loads(out)["measures"]
    assert value is None or found[name]["value"] == pytest.approx(value, abs=1e-9)
    assert run("search", *given)[0] == 0


def test_captions_that_are_not_first_are_said(run: Run, files: dict[str, Path]) -> None:
    path = files["captions"]
    code, _, err = run("search", path, "--query", path, "--protocol", "first_caption")
    assert code == 0
    assert "modalgap: 3 queries are not first captions; not used" in err
    assert "modalgap: 1 of 3 queries have nothing relevant" in err


def test_images_that_are_not_there_are_said(
    run: Run, files: dict[str, Path], tmp_path: Path
) -> None:
    lost = twice(**judged(["easy1", "lost"], [], ["gone"]))
    query = mg.save(lost, tmp_path / "query.npz")
    code, _, err = run("search", files["both"], "--query", query, "--protocol", "easy")
    assert code == 0
    assert err == "modalgap: 2 relevant images are not in the gallery; not counted\n"


@pytest.mark.parametrize("query", ["pair", "named"])
def test_zero_shot_on_the_command_line(run: Run, files: dict[str, Path], query: str) -> None:
    given = ("search", files["pair"], "--query", files[query], "--protocol", "zero_shot")
    code, out, _ = run(*given, "--json")
    assert code == 0
    expected = mg.evaluate(mg.load(files["pair"]), "zero_shot")["zero_shot.top1"].value
    assert json.loads(out)["measures"]["top1"]["value"] == expected
    code, out, _ = run(*given)
    assert code == 0
    assert said(out)["top1"] == pytest.approx(expected, rel=1e-3)
    assert "3 prompts (text)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{pair}"], "--query"),
        (["--query", "{named}"], "GALLERY"),
        (["{pair}", "{pair}", "--query", "{named}"], "unexpected extra argument"),
        (["{pair}", "--query", "{named}", "--only", "mixed"], "--only"),
    ],
)
def test_usage_errors_of_search(
    run: Run, files: dict[str, Path], arguments: list[str], words: str
) -> None:
    code, out, err = run("search", *[each.format(**files) for each in arguments])
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["{pair}", "--query", "{named}", "--protocol", "hrad"],
            "unknown protocol 'hrad'; did you mean 'hard'?",
        ),
        (
            ["{pair}", "--query", "{pair}", "--protocol", "zeroshot"],
            "unknown protocol 'zeroshot'; did you mean 'zero_shot'?",
        ),
        (["{pair}", "--query", "{named}"], "must share one factor"),
        (["{pair}", "--query", "missing.npz"], "missing.npz"),
        (["missing.npz", "--query", "{named}"], "missing.npz"),
        (["{pair}", "--query", "{captions}"], "same width; got 2 and 6"),
        (["{pair}", "--query", "{named}", "--factor", "colour"], "need the factor 'colour'"),
    ],
)
def test_refusals_on_the_command_line(
    run: Run, files: dict[str, Path], arguments: list[str], words: str
) -> None:
    given = [each.format(**files) for each in arguments]
    for more in ([], ["--json"]):
        code, out, err = run("search", *given, *more)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("modalgap: ")
        assert words in line


def test_help_names_every_protocol(run: Run) -> None:
    code, out, _ = run("search", "--help")
    assert code == 0
    for word in (*PROTOCOLS, "--query", "GALLERY", "--factor"):
        assert word in out
