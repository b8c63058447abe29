"""Search and classification across two sets of embeddings, against libraries and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from search.cases import (
    at,
    classify,
    judged,
    labelled,
    twice,
)

from modalgap import errors
from modalgap.embeddings import Embeddings
from modalgap.search import search


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
        (TWO, at(0), {}, "OptionError", "gallery must be Embeddings, a Pair or .*; got ndarray"),
        (Embeddings(np.eye(3)), TWO, {}, "InputError", "same width; got 3 and 2"),
        (TWO, TWO, {"factor": "d"}, "NotApplicable", "queries need the factor 'd'; there is c"),
        (TWO, two(), {"factor": "c"}, "NotApplicable", "gallery needs the factor 'c'; there"),
        (
            TWO, two(), {}, "NotApplicable",
            "must share one factor .* have c; gallery has none; .* use modalgap evaluate or",
        ),
        (
            twice(c=[0], d=[0]), twice(c=[0], d=[0]), {},
            "NotApplicable", "must share one factor .* have c, d; gallery has c, d$",
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
        (TWO, None, {}, "OptionError", "gallery must be Embeddings, a Pair or .*; got None"),
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
