"""Pair: who matches whom, what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def refused(match: str) -> Any:
    return pytest.raises(errors.InputError, match=match)


def pair(n: int = 6, m: int = 6, **matches: Any) -> Pair:
    random = np.random.default_rng(0)
    return Pair(random.normal(size=(n, 4)), random.normal(size=(m, 4)), **matches)


def listed(index: tuple[torch.Tensor, torch.Tensor]) -> tuple[list[int], list[int]]:
    return index[0].tolist(), index[1].tolist()


def test_matched_by_rows() -> None:
    found = pair()
    assert found.matched_by == "rows"
    assert found.captions_per_image == 1
    assert listed(found.matches) == listed(found.first_matches) == ([*range(6)], [*range(6)])


def test_matched_by_text_to_image() -> None:
    found = pair(4, 6, text_to_image=[2, 0, 2, 3, 0, 2])
    assert found.matched_by == "text_to_image"
    assert found.captions_per_image is None
    assert listed(found.matches) == ([2, 0, 2, 3, 0, 2], [0, 1, 2, 3, 4, 5])
    assert listed(found.first_matches) == ([0, 2, 3], [1, 0, 3])


@pytest.mark.parametrize(
    ("n", "of", "expected"),
    [
        (3, [0, 0, 1, 1, 2, 2], 2),
        (6, [0, 1, 2, 3, 4, 5], 1),
        (6, [1, 0, 2, 3, 4, 5], None),
        (3, [0, 1, 2, 0, 1, 2], None),
        (4, [0, 0, 1, 1, 2, 2], None),
        (2, [0, 0, 0, 0, 1, 1], None),
        (9, [0, 1, 2, 3, 4, 5], None),
    ],
)
def test_captions_in_order(n: int, of: list[int], expected: int | None) -> None:
    assert pair(n, 6, text_to_image=of).captions_per_image == expected


def test_matched_by_labels() -> None:
    found = pair(5, 3, labels=[2, 0, 0, 1, 2])
    assert found.matched_by == "labels"
    assert found.captions_per_image is None
    assert listed(found.matches) == listed(found.first_matches) == ([*range(5)], [2, 0, 0, 1, 2])


@pytest.mark.parametrize(
    "index", [[0, 1], (0, 1), np.array([0, 1], np.uint8), torch.tensor([0, 1])]
)
def test_forms_of_matches(index: Any) -> None:
    found = pair(2, 2, text_to_image=index)
    assert found.text_to_image.dtype == np.int64
    assert found.text_to_image.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("sizes", "matches", "words"),
    [
        ((6, 5), {}, "row i matches row i, so both need the same number of rows; got 6 and 5"),
        (
            (6, 6),
            {"labels": [0] * 6, "text_to_image": [0] * 6},
            "text_to_image and labels: give one or neither, not both",
        ),
        (
            (6, 5),
            {"text_to_image": [0] * 6},
            r"text_to_image: must have shape \(5,\), one for each of the texts; got \(6,\)",
        ),
        (
            (6, 5),
            {"labels": [0] * 5},
            r"labels: must have shape \(6,\), one for each of the images; got \(5,\)",
        ),
        ((3, 2), {"text_to_image": [[0], [1]]}, r"got \(2, 1\)"),
        (
            (3, 2),
            {"text_to_image": [2, 3]},
            r"text_to_image: must lie in 0 … 2 \(the images\); row 1 holds 3",
        ),
        (
            (3, 2),
            {"labels": [0, 1, -1]},
            r"labels: must lie in 0 … 1 \(the texts\); row 2 holds -1",
        ),
        ((3, 2), {"labels": [0.0, 1.0, 1.0]}, "labels: must hold integers; got float64"),
        ((3, 2), {"labels": [True, False, True]}, "got bool"),
        ((3, 2), {"labels": ["a", "b", "c"]}, "got <U1"),
        ((3, 2), {"labels": [[0], [1, 2]]}, "labels: must be one flat array"),
        ((3, 2), {"labels": torch.zeros(3)}, "got float32"),
        (
            (3, 2),
            {"labels": torch.zeros(3, dtype=torch.bfloat16)},
            "labels: must be one flat array",
        ),
        ((3, 2), {"labels": np.array([0, 1, 2**63], np.uint64)}, "row 2 holds 9223372036854775808"),
    ],
)
def test_pairs_refused(sizes: tuple[int, int], matches: dict[str, Any], words: str) -> None:
    with refused(words):
        pair(*sizes, **matches)


def test_widths_and_names_must_fit() -> None:
    with refused("images and text: must have the same width; got 4 and 3"):
        Pair(Embeddings(ROWS, source="images"), ROWS[:, :3])
    with refused("the two modalities must have two names; both are 'image'"):
        Pair(ROWS, Embeddings(ROWS, "image"))
    audio = Pair(Embeddings(ROWS, "audio"), Embeddings(ROWS[::-1], "text"))
    assert {"cone_audio", "cone_text"} <= set(mg.measure(audio, only="cone"))


def test_they_print_themselves_in_one_line() -> None:
    assert repr(Embeddings(ROWS)) == "Embeddings(image, n=6, dim=4)"
    assert repr(pair()) == (
        "Pair(Embeddings(image, n=6, dim=4), Embeddings(text, n=6, dim=4), matched by rows)"
    )


def test_fingerprint_of_a_pair() -> None:
    a, b = Embeddings(ROWS, "image"), Embeddings(2 * ROWS, "text")
    of = [0, 0, 1, 1, 2, 2]
    pairs = [
        Pair(a, b),
        Pair(Embeddings(2 * ROWS, "image"), Embeddings(ROWS, "text")),
        Pair(a, b, text_to_image=of),
        Pair(a, b, text_to_image=of[::-1]),
        Pair(a, b, labels=of),
        Pair(a, b, labels=np.arange(6)),
    ]
    prints = [pair.fingerprint for pair in pairs]
    assert len(set(prints)) == len(prints)
    assert Pair(a, b, text_to_image=range(6)).fingerprint == prints[0]  # the same matches
    assert Pair(a, b, text_to_image=np.array(of, np.int8)).fingerprint == prints[2]
