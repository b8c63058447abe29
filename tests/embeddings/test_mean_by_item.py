"""The mean of the rows of each item."""

from __future__ import annotations

import numpy as np
import pytest

from modalgap import Embeddings, errors
from modalgap.embeddings import mean_by_item


def test_as_numpy_computes_it() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 5))
    items = ["b", "a", "b", "c", "a", "b", "c"]
    side = Embeddings(
        rows,
        "video",
        factors={"scene": [1, 0, 1, 2, 0, 1, 2], "frame": list(range(7))},
        provenance={"model": "m"},
    )
    found = mean_by_item(side, items)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    means = np.stack([unit[[each == name for each in items]].mean(0) for name in "bac"])
    np.testing.assert_allclose(
        np.asarray(found), means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-6
    )
    assert found.names == ("b", "a", "c")
    assert list(found.factors) == ["scene"]
    assert found.factors["scene"].tolist() == [1, 0, 2]
    assert found.provenance == {"model": "m", "rows_per_item": "2.333, mean of unit rows"}
    assert found.modality == "video"
    named = Embeddings(rows, "video", names=items)
    np.testing.assert_array_equal(np.asarray(mean_by_item(named)), np.asarray(found))
    numbers = mean_by_item(Embeddings(rows), np.array([5, 3, 5, 9, 3, 5, 9]))
    assert numbers.names == ("5", "3", "9")
    np.testing.assert_array_equal(np.asarray(numbers), np.asarray(found))


def test_one_row_per_item_changes_nothing() -> None:
    rows = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    side = Embeddings(rows, names=list("abcd"))
    np.testing.assert_allclose(np.asarray(mean_by_item(side)), np.asarray(side), atol=1e-7)


def test_refusals() -> None:
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    side = Embeddings(rows)
    for items, why in (
        (None, "items: must be ids, or the rows must have names"),
        (["a", "b"], r"must be integers or strings of shape \(3,\)"),
        ([0.5, 1, 2], "must be integers or strings"),
        (["a", "a", "a"], "at least two items; got 1"),
        (["a", "a", "b"], "the rows of an item must not cancel; those of 'a'"),
    ):
        with pytest.raises(errors.InputError, match=why):
            mean_by_item(side, items)
