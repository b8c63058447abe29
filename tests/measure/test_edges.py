"""The smallest and oddest inputs: every measure gives a finite number or says why it cannot."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.measure import MEASURES

CARDS = {name: each.card for each in MEASURES.values() for name in each.names(("image", "text"))}

EDGES: dict[str, Callable[[], Pair]] = {
    "two rows": lambda: Pair(np.eye(3)[:2], np.eye(3)[1:]),
    "two rows, one column": lambda: Pair([[1.0], [-2.0]], [[0.5], [3.0]]),
    "one column": lambda: Pair([[1.0], [-2.0]] * 9, [[0.5], [3.0], [-1.0]] * 6),
    "identical rows": lambda: Pair(np.ones((20, 4)), np.ones((20, 4))),
    "opposite points": lambda: Pair(np.ones((20, 4)), -np.ones((20, 4))),
    "one side a point": lambda: Pair(
        np.ones((20, 4)), np.random.default_rng(0).normal(size=(20, 4))
    ),
    "orthogonal rows": lambda: Pair(np.eye(16)[:8], np.eye(16)[8:]),
    "orthogonal basis": lambda: Pair(np.eye(12), np.eye(12)[::-1]),
    "identical modalities": lambda: Pair(*[np.random.default_rng(0).normal(size=(30, 5))] * 2),
    "texts of one image": lambda: Pair(
        *np.random.default_rng(0).normal(size=(2, 14, 5)), text_to_image=np.zeros(14, int)
    ),
    "texts of two images": lambda: Pair(
        *np.random.default_rng(0).normal(size=(2, 14, 5)), text_to_image=np.arange(14) % 2
    ),
    "one label": lambda: Pair(
        np.random.default_rng(0).normal(size=(14, 5)), np.eye(5)[:3], labels=np.ones(14, int)
    ),
    "two prompts": lambda: Pair(np.eye(5), np.eye(5)[:2], labels=[0, 1, 1, 0, 1]),
    "prompts that are the images": lambda: Pair(np.eye(5), np.eye(5), labels=np.arange(5)),
    "factor of one value": lambda: with_factors([0] * 6, [0, 1] * 3),
    "factor of all values": lambda: with_factors(range(6), [0, 1] * 3),
    "factors that repeat once": lambda: with_factors([0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 4]),
}


def with_factors(objects: Any, colours: Any) -> Pair:
    image, text = np.random.default_rng(0).normal(size=(2, 6, 3))
    factors = {"object": list(objects), "colour": list(colours)}
    return Pair(Embeddings(image, factors=factors), Embeddings(text, "text", factors=factors))


def sound(name: str, value: mg.result.Value) -> None:
    """Finite, in its range, inside its interval; float32 rounding aside."""
    card = CARDS[name]
    assert math.isfinite(value.value)
    assert card.low is None or value.value >= card.low - 1e-6, name
    assert card.high is None or value.value <= card.high + 1e-4, name
    if value.interval is not None:
        bottom, top = value.interval
        assert bottom - 1e-6 <= value.value <= top + 1e-6, name
    json.dumps(value.to_dict(), allow_nan=False)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", sorted(MEASURES))
def test_edges_give_a_number_or_a_reason(name: str, edge: str) -> None:
    pair = EDGES[edge]()
    try:
        found = mg.measure(pair, only=name)
    except (errors.NotApplicable, errors.InputError) as reason:
        assert str(reason).startswith(name)
        return
    for each, value in found.items():
        sound(each, value)


finite = st.floats(-8, 8, width=16).map(lambda v: v if abs(v) > 1e-3 else 0.0)


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    d = draw(st.integers(1, 5))
    n, m = draw(st.integers(2, 14)), draw(st.integers(2, 14))
    how = draw(st.sampled_from(["rows", "text_to_image", "labels"]))
    m = n if how == "rows" else m

    def rows(count: int) -> Any:
        found = draw(hnp.arrays(np.float64, (count, d), elements=finite))
        found[~found.any(1), 0] = 1.0
        return found

    matches: dict[str, Any] = {}
    if how == "text_to_image":
        matches[how] = draw(hnp.arrays(np.int64, m, elements=st.integers(0, n - 1)))
    if how == "labels":
        matches[how] = draw(hnp.arrays(np.int64, n, elements=st.integers(0, m - 1)))
    factor = st.integers(0, 2)
    sides = [
        Embeddings(
            rows(count),
            modality,
            factors={
                "object": draw(hnp.arrays(np.int64, count, elements=factor)),
                "colour": draw(hnp.arrays(np.int64, count, elements=factor)),
            },
        )
        for count, modality in ((n, "image"), (m, "text"))
    ]
    return Pair(*sides, **matches)


@settings(max_examples=100)
@given(pairs(), st.integers(1, 4), st.integers(2, 20))
def test_small_arrays_give_numbers_or_reasons(pair: Pair, k: int, batch: int) -> None:
    found = mg.measure(pair, k=k, batch=batch)
    assert set(found) | set(found.skipped) == set(CARDS)
    for name, value in found.items():
        sound(name, value)
    found.to_json()


@pytest.mark.parametrize("name", ["rmg", "trace_ratio", "itr", "imr", "nas", "kendall_tau"])
def test_rows_that_float32_cannot_tell_apart_are_refused(name: str) -> None:
    random = np.random.default_rng(0)
    alike = 1 + 1e-4 * random.normal(size=(40, 8))
    for image, text in ((alike, alike[::-1]), (random.normal(size=(40, 8)), np.ones((40, 8)))):
        with pytest.raises(errors.NotApplicable, match="too similar for float32"):
            MEASURES[name](image, text)
