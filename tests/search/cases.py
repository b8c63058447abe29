"""Small collections that the tests of searching share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.embeddings import Embeddings, Pair
from modalgap.result import Result
from modalgap.search import search

JUDGED = ("easy", "hard", "junk")
classify = partial(search, protocol="zero_shot")
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


def labelled() -> Pair:
    """Four images of two classes, and their prompts."""
    image = Embeddings(at(10, 20, 30, 40), factors={"kind": list("yxxy")})
    return Pair(image, Embeddings(at(15, 35), "text", ["cat", "dog"]), labels=[1, 0, 0, 1])
