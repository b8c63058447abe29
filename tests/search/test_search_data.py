"""Search and classification across two sets of embeddings, against libraries and by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from reference.cases import two_cones
from search.cases import (
    at,
    classify,
    details,
    labelled,
    numbers,
    twice,
)

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.search import query_side, search

# classes, sides and models ------------------------------------------------------------------------


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


# classification -----------------------------------------------------------------------------------


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
