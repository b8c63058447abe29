"""What must hold of every measure in the registry, and so of one added tomorrow.

Two subjects are measured whole: pairs matched row by row (with factors), and images with class
prompts. Each property changes the data and compares every value.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference.cases import crossed, two_cones

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.measure import MEASURES

N, D, CLASSES, BATCH = 66, 12, 11, 10
SUBJECTS = ("pairs", "prompts")
NAMES = [name for each in MEASURES.values() for name in each.names(("image", "text"))]

# Values that depend on the coordinate axes, and so change under rotation.
ON_COORDINATES = {name for name, each in MEASURES.items() if "coordinates" in each.card.traits}

# Values that depend on the order of rows: batches and folds are cut in order.
ON_ORDER = {name for name, each in MEASURES.items() if "order" in each.card.traits}

# Values that depend on the number of rows: of distinct pairs, sample variances, neighbours, ranks.
ON_SIZE = {
    name
    for each in MEASURES.values()
    if "size" in each.card.traits
    for name in each.names(("image", "text"))
}

Rows = Callable[[np.ndarray[Any, Any]], Any]


@functools.cache
def arrays(subject: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Any]:
    """Rows that float16 holds exactly, and labels."""
    labels = None
    image, text = two_cones(N, D, seed=5)
    if subject == "prompts":
        labels = np.random.default_rng(6).permutation(np.arange(N) % CLASSES)
        text = text[:CLASSES]
        image = image / np.linalg.norm(image, axis=1, keepdims=True) + 0.2 * text[labels]
    return image.astype(np.float16), text.astype(np.float16), labels


def result(
    subject: str,
    change: Rows = lambda rows: rows.astype(np.float64),
    text_change: Rows | None = None,
    *,
    order: bool = False,
    **options: Any,
) -> mg.Result:
    """Everything that applies to a subject, after a change of its rows."""
    image, text, labels = arrays(subject)
    changed = change(image), (text_change or change)(text)
    factors = crossed(N)
    p, q = np.arange(len(image)), np.arange(len(text))
    matches: dict[str, Any] = {"labels": labels}
    if order:
        random = np.random.default_rng(7)
        p, q = random.permutation(p), random.permutation(q)
        place = np.argsort(p if labels is None else q)
        matches = {"text_to_image": place[q]} if labels is None else {"labels": place[labels[p]]}
        changed = changed[0][p], changed[1][q]
    sides = []
    for rows, index, modality in zip(changed, (p, q), ("image", "text"), strict=True):
        own = {k: v[index] for k, v in factors.items()} if len(index) == N else {}
        sides.append(Embeddings(rows, modality, factors=own))
    if "only" not in options:
        options = {"batch": BATCH} | options
    return mg.measure(Pair(*sides, **matches), **options)


@functools.cache
def plain(subject: str) -> mg.Result:
    return result(subject)


def same(found: mg.Result, expected: mg.Result, but: set[str] | None = None, **near: float) -> None:
    assert set(found) == set(expected)
    tolerance = {"rel": 1e-5, "abs": 1e-6} | near
    off = {
        name: (found[name].value, expected[name].value)
        for name in expected
        if name not in (but or set())
        and found[name].value != pytest.approx(expected[name].value, **tolerance)
    }
    assert off == {}


def test_every_measure_is_under_test() -> None:
    assert set(plain("pairs")) | set(plain("prompts")) == set(NAMES)


# invariance ----------------------------------------------------------------------------------


def rotation() -> np.ndarray[Any, Any]:
    q, _ = np.linalg.qr(np.random.default_rng(8).normal(size=(D, D)))
    return q


@pytest.mark.parametrize("subject", SUBJECTS)
def test_rotation(subject: str) -> None:
    q = rotation()
    same(result(subject, lambda rows: rows.astype(float) @ q), plain(subject), ON_COORDINATES)


@pytest.mark.parametrize("name", sorted(ON_COORDINATES))
def test_rotation_is_noticed_where_it_should(name: str) -> None:
    q = rotation()
    turned = result("pairs", lambda rows: rows.astype(float) @ q, only=name, **TOP[name])
    before = result("pairs", only=name, **TOP[name])
    assert abs(turned[name].value - before[name].value) > 0.01


TOP: dict[str, dict[str, int]] = {"per_dimension_gap": {}, "gap_concentration": {"top": 3}}


def test_rotating_one_side_is_noticed() -> None:
    # else the test of rotation could not fail
    q = rotation()
    turned = result("pairs", lambda rows: rows.astype(float), lambda rows: rows.astype(float) @ q)
    alone = {name for name in NAMES if name in plain("pairs") and _of_one_modality(name)}
    unmoved = {
        name
        for name in turned
        if turned[name].value == pytest.approx(plain("pairs")[name].value, rel=1e-5)
    }
    assert unmoved == alone | {"trace_ratio", "kendall_tau", "nas"}


def _of_one_modality(name: str) -> bool:
    alone = [each for each in MEASURES.values() if each.per_modality and not each.between]
    return any(name.startswith(each.name) for each in alone)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_order_of_rows(subject: str) -> None:
    same(result(subject, order=True), plain(subject), ON_ORDER)


def test_order_of_rows_in_one_batch() -> None:
    found, expected = (result("pairs", order=order, batch=N) for order in (True, False))
    same(found, expected, {"separability"})


def test_order_of_rows_is_noticed_in_batches() -> None:
    found, expected = (result("pairs", order=order) for order in (True, False))
    for name in ("infonce", "loss_landscape"):
        differs = np.subtract(_numbers(found[name]), _numbers(expected[name]))
        assert np.abs(differs).max() > 1e-3, name


def _numbers(value: mg.result.Value) -> list[float]:
    return [value.value, *np.ravel(value.details.get("loss", []))]


@functools.cache
def each_item_twice(subject: str, **options: Any) -> mg.Result:
    image, text, labels = arrays(subject)
    factors = {name: np.tile(values, 2) for name, values in crossed(N).items()}
    first = Embeddings(np.tile(image, (2, 1)), "image", factors=factors)
    if labels is not None:
        pair = Pair(first, Embeddings(text, "text"), labels=np.tile(labels, 2))
    else:
        pair = Pair(first, Embeddings(np.tile(text, (2, 1)), "text", factors=factors))
    return mg.measure(pair, **({"batch": BATCH} | options))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_item_twice(subject: str) -> None:
    same(each_item_twice(subject), plain(subject), ON_SIZE)


@pytest.mark.parametrize("name", sorted(ON_SIZE))
def test_the_number_of_rows_is_noticed_where_it_should(name: str) -> None:
    differ = []
    for subject in SUBJECTS:
        # with ten neighbours, none of these few items is an antihub
        options = {"k": 1} if name.startswith("antihub") else {}
        found = each_item_twice(subject, **options)
        expected = result(subject, **options) if options else plain(subject)
        if name in expected:
            near = pytest.approx(expected[name].value, rel=1e-5, abs=1e-6)
            differ.append(found[name].value != near)
    assert any(differ)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_scale_of_rows(subject: str) -> None:
    def scaled(rows: np.ndarray[Any, Any]) -> Any:
        factor = np.random.default_rng(9).choice([1e-30, 1e-3, 0.7, 1e3, 1e30], (len(rows), 1))
        return rows.astype(float) * factor

    same(result(subject, scaled), plain(subject))


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_dtype(subject: str, dtype: str) -> None:
    if dtype == "bfloat16":  # holds other numbers than float16; compare those with themselves

        def short(rows: np.ndarray[Any, Any]) -> Any:
            return torch.from_numpy(rows).to(torch.bfloat16)

        same(result(subject, short), result(subject, lambda rows: short(rows).double()))
        return
    same(result(subject, lambda rows: rows.astype(dtype)), plain(subject))


def big_endian(rows: np.ndarray[Any, Any]) -> Any:
    return rows.astype(np.float64).astype(">f8")


def every_other(rows: np.ndarray[Any, Any]) -> Any:
    wide = np.zeros((2 * rows.shape[0], 3 * rows.shape[1]))
    wide[::2, ::3] = rows
    return wide[::2, ::3]


def backwards(rows: np.ndarray[Any, Any]) -> Any:
    return rows[::-1, ::-1].astype(np.float64).copy()[::-1, ::-1]


FORMS: dict[str, Rows] = {
    "torch": lambda rows: torch.from_numpy(rows.astype(np.float64)),
    "torch that needs a gradient": lambda rows: torch.tensor(rows, dtype=float, requires_grad=True),
    "lists": lambda rows: rows.astype(np.float64).tolist(),
    "big-endian": big_endian,
    "not contiguous": every_other,
    "negative strides": backwards,
    "columns first": lambda rows: np.asfortranarray(rows.astype(np.float64)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_form_of_input(subject: str, form: str) -> None:
    found = result(subject, FORMS[form])
    same(found, plain(subject), rel=1e-6, abs=1e-7)
    assert found.pair["norms"] == plain(subject).pair["norms"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_memory_map(subject: str, tmp_path: Path) -> None:
    def mapped(rows: np.ndarray[Any, Any]) -> Any:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, rows.astype(np.float64))
        return np.load(path, mmap_mode="r")

    assert values(result(subject, mapped)) == values(plain(subject))


def values(found: mg.Result) -> dict[str, tuple[float, Any]]:
    return {name: (each.value, each.interval) for name, each in found.items()}


# what a value is -----------------------------------------------------------------------------


def card_of(name: str) -> mg.card.Card:
    return next(each.card for each in MEASURES.values() if name in each.names(("image", "text")))


@pytest.mark.parametrize("name", NAMES)
def test_value_range_and_interval(name: str) -> None:
    card = card_of(name)
    for subject in SUBJECTS:
        if name not in plain(subject):
            continue
        value = plain(subject)[name]
        low = -math.inf if card.low is None else card.low
        high = math.inf if card.high is None else card.high
        assert low <= value.value <= high
        if value.interval is None:
            assert card.interval.startswith("none") or "; none " in card.interval
        else:
            assert not card.interval.startswith("none")
            bottom, top = value.interval
            assert low <= bottom <= value.value <= top <= high
            if (subject, name) not in FIXED:
                assert bottom < top


FIXED = {
    ("prompts", "cone_text"): "class prompts are a population, not a sample",
    ("prompts", "imr"): "an image comes first for every prompt",
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_same_seed_same_result(subject: str) -> None:
    drawn = {"max_rows": 30, "seed": 3}
    first, second = result(subject, **drawn), result(subject, **drawn)
    assert first.to_json() == second.to_json()
    assert values(first) != values(result(subject, max_rows=30, seed=4))
    assert result(subject).to_json() == plain(subject).to_json()


@pytest.mark.parametrize("name", NAMES)
def test_params_hold_every_option(name: str) -> None:
    measure = next(each for each in MEASURES.values() if name in each.names(("image", "text")))
    value = next(plain(subject)[name] for subject in SUBJECTS if name in plain(subject))
    assert set(measure.options) <= set(value.params)
    json.dumps(value.to_dict(), allow_nan=False)
    for key, default in measure.options.items():
        assert value.params[key] == default or default is None or key == "batch"


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_alone_as_a_function_as_in_the_verb(name: str) -> None:
    measure = MEASURES[name]
    for subject in SUBJECTS:
        image, text, labels = (
            rows if rows is None else rows.astype(float) if rows.dtype.kind == "f" else rows
            for rows in arrays(subject)
        )
        if measure.between:
            for side in ("image", "text"):
                whole = plain(subject)
                if f"{name}_{side}" in whole:
                    found = measure.of(side)(image, text, labels=labels)
                    assert found.value == pytest.approx(whole[f"{name}_{side}"].value, rel=1e-12)
        elif measure.per_modality:
            whole = plain(subject)
            if f"{name}_image" in whole:
                found = measure(image, factors=crossed(N))
                assert found.value == pytest.approx(whole[f"{name}_image"].value, rel=1e-12)
        elif name in plain(subject):
            own = {"batch": BATCH} if "batch" in measure.options else {}
            found = measure(image, text, labels=labels, **own)
            expected = plain(subject)[name]
            assert found.value == pytest.approx(expected.value, rel=1e-12)
            interval = expected.interval and pytest.approx(expected.interval, rel=1e-9)
            assert found.interval == interval
