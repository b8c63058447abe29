"""Corrections of scores against the equations, written as loops over numpy."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import find_shared
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import Floats, unit

from modalgap import errors, linalg
from modalgap.close import CORRECTIONS, correct
from modalgap.close.scores import base, qbnorm
from modalgap.embeddings import Embeddings

M, B, Q, D = 50, 37, 23, 8
Options = dict[str, Any]
Sides = tuple[Floats, Floats, Floats]


@functools.cache
def sides(m: int = M, b: int = B, seed: int = 0) -> Sides:
    """Gallery, bank and queries, not unit; a common direction makes hubs."""
    random = np.random.default_rng(seed)
    gallery = random.normal(size=(m, D)) + 1
    bank, queries = (random.normal(size=(n, D)) + 0.5 for n in (b, Q))
    return gallery * 3, bank, queries * random.uniform(0.1, 9, (Q, 1))


def s(a: Floats, b: Floats) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def largest(values: list[float], k: int) -> list[float]:
    return sorted(values, reverse=True)[:k]


# references ----------------------------------------------------------------------------------


def csls(gallery: Floats, bank: Floats, queries: Floats, k: int = 10) -> Floats:
    found = np.empty((len(queries), len(gallery)))
    for i, q in enumerate(queries):
        for j, x in enumerate(gallery):
            near_q = np.mean(largest([s(q, other) for other in gallery], k))
            near_x = np.mean(largest([s(b, x) for b in bank], k))
            found[i, j] = 2 * s(q, x) - near_q - near_x
    return found


def nnn(
    gallery: Floats, bank: Floats, queries: Floats, k: int = 128, alpha: float = 0.75
) -> Floats:
    found = np.empty((len(queries), len(gallery)))
    for j, x in enumerate(gallery):
        bias = alpha * np.mean(largest([s(b, x) for b in bank], k))
        for i, q in enumerate(queries):
            found[i, j] = s(q, x) - bias
    return found


def qb_norm(gallery: Floats, bank: Floats, queries: Floats, beta: float = 20.0) -> Floats:
    """Of a query that a hub catches, the logarithm of the softmax over β: in the same order."""
    hubs = {int(np.argmax([s(b, x) for x in gallery])) for b in bank}
    found = np.empty((len(queries), len(gallery)))
    for i, q in enumerate(queries):
        plain = [s(q, x) for x in gallery]
        if int(np.argmax(plain)) not in hubs:
            found[i] = plain
            continue
        for j, x in enumerate(gallery):
            asked = sum(math.exp(beta * s(b, x)) for b in bank)
            found[i, j] = math.log(math.exp(beta * plain[j]) / asked) / beta
    return found


def sinkhorn(
    gallery: Floats, bank: Floats, queries: Floats, temperature: float = 0.02, steps: int = 20
) -> Floats:
    """Rows, then columns, are scaled in turn; v is the logarithm of the scale of the columns."""
    plan = np.exp([[s(b, x) / temperature for x in gallery] for b in bank])
    columns = np.ones(len(gallery))
    for _ in range(steps):
        rows = 1 / len(bank) / (plan @ columns)
        columns = 1 / len(gallery) / (plan.T @ rows)
    plain = np.array([[s(q, x) for x in gallery] for q in queries])
    return plain + temperature * np.log(columns)


def zscore(gallery: Floats, bank: Floats, queries: Floats, per: str = "form") -> Floats:
    plain = np.array([[s(q, x) for x in gallery] for q in queries])
    rows, asking = ([x / np.sqrt(x @ x) for x in each] for each in (gallery, bank))
    cov_q, cov_x = np.cov(np.transpose(asking)), np.cov(np.transpose(rows))
    mean_q, mean_x = np.mean(asking, 0), np.mean(rows, 0)
    if per == "form":
        spread = np.trace(cov_q @ cov_x) + mean_x @ cov_q @ mean_x + mean_q @ cov_x @ mean_q
        return (plain - mean_q @ mean_x) / np.sqrt(spread)
    by_item = [np.array([s(b, x) for b in bank]) for x in gallery]
    item = np.stack([(plain[:, j] - z.mean()) / z.std(ddof=1) for j, z in enumerate(by_item)], 1)
    query = np.stack([(row - row.mean()) / row.std() for row in plain])
    return (item + query) / 2


REFERENCES: dict[str, Callable[..., Floats]] = {
    "csls": csls,
    "nnn": nnn,
    "qbnorm": qb_norm,
    "sinkhorn": sinkhorn,
    "zscore": zscore,
}
COMPARED: list[tuple[str, Options]] = [
    ("csls", {}),
    ("csls", {"k": 1}),
    ("csls", {"k": 45}),  # above the bank, below the gallery
    ("csls", {"k": 500}),
    ("nnn", {}),
    ("nnn", {"k": 5, "alpha": 0.3}),
    ("nnn", {"k": 1, "alpha": 2}),
    ("nnn", {"k": B + 1}),
    ("nnn", {"alpha": 0}),
    ("qbnorm", {}),
    ("qbnorm", {"beta": 1.0}),
    ("qbnorm", {"beta": 200}),
    ("sinkhorn", {}),
    ("sinkhorn", {"temperature": 0.1, "steps": 1}),
    ("sinkhorn", {"temperature": 1, "steps": 100}),
    ("sinkhorn", {"temperature": 0.01}),
    ("zscore", {}),
    ("zscore", {"per": "item"}),
]
NAMES = sorted(CORRECTIONS)


def test_every_correction_has_a_reference() -> None:
    assert set(REFERENCES) == set(CORRECTIONS)
    for name, rule in CORRECTIONS.items():
        given_ = {option for each, options in COMPARED if each == name for option in options}
        assert given_ == set(rule.options), name


@pytest.mark.parametrize(("m", "b"), [(M, B), (9, 60), (2, 2)])
@pytest.mark.parametrize(("name", "options"), COMPARED, ids=str)
def test_against_loops(name: str, options: Options, m: int, b: int) -> None:
    gallery, bank, queries = sides(m, b)
    found = correct(gallery, bank, name, **options)(queries)
    assert found.dtype is torch.float32
    assert found.shape == (Q, m)
    expected = REFERENCES[name](gallery, bank, queries, **options)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_qbnorm_corrects_some_queries_and_leaves_others() -> None:
    # else its test could not tell
    gallery, bank, queries = sides()
    plain = unit(queries) @ unit(gallery).T
    changed = ~np.isclose(correct(gallery, bank, "qbnorm")(queries), plain, atol=1e-5).all(1)
    assert 0 < changed.sum() < Q


@pytest.mark.parametrize("name", NAMES)
def test_a_bank_of_one_query(name: str) -> None:
    gallery, bank, queries = sides()
    twice = np.repeat(bank[:1], 2, axis=0)  # the least that embeddings may hold
    found = correct(gallery, twice, name)(queries).numpy()
    # a sum over the bank counts it twice, in every column alike; a covariance needs two rows
    own = twice if name in ("qbnorm", "zscore") else bank[:1]
    expected = REFERENCES[name](gallery, own, queries)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_blocks_do_not_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, bank, queries = sides()
    whole = correct(gallery, bank, name)(queries)

    def small(n: int, columns: int, budget: int = 1) -> Any:
        return linalg.blocks(n, columns, 4 * columns * 3)  # three rows at a time

    assert list(small(7, 9)) == [(0, 3), (3, 6), (6, 7)]
    for module in (base, qbnorm):
        monkeypatch.setattr(module, "blocks", small)
    np.testing.assert_allclose(correct(gallery, bank, name)(queries), whole, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_queries_are_corrected_one_by_one(name: str) -> None:
    gallery, bank, queries = sides()
    correction = correct(gallery, bank, name)
    whole = correction(queries)
    np.testing.assert_allclose(correction(queries[5:7]), whole[5:7], atol=1e-6)
    order = np.random.default_rng(0).permutation(M)
    turned = correct(gallery[order], bank[::-1].copy(), name)(queries)
    np.testing.assert_allclose(turned, whole[:, order], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_forms_and_scale_of_rows_do_not_matter(name: str) -> None:
    gallery, bank, queries = sides()
    expected = correct(gallery, bank, name)(queries)
    correction = correct(
        Embeddings(torch.from_numpy(gallery) * 1e-3, "image"), (bank * 50).tolist(), name
    )
    np.testing.assert_allclose(correction(Embeddings(queries, "text")), expected, atol=1e-5)
    np.testing.assert_allclose(correction(torch.from_numpy(queries)), expected, atol=1e-5)
    given_ = torch.nn.functional.normalize(torch.from_numpy(queries), dim=1).float()
    np.testing.assert_allclose(correction.scores(given_), expected, atol=1e-5)


def test_sinkhorn_makes_the_bank_ask_for_all_alike() -> None:
    gallery, bank, _ = sides()
    correction = correct(gallery, bank, "sinkhorn", temperature=0.05, steps=500)
    corrected = correction(bank).double().numpy() / 0.05
    plan = np.exp(corrected - corrected.max(1, keepdims=True))
    plan /= plan.sum(1, keepdims=True) * len(bank)  # each query gives one share
    np.testing.assert_allclose(plan.sum(0), 1 / M, rtol=1e-3)
    plain = np.exp(unit(bank) @ unit(gallery).T / 0.05)
    plain /= plain.sum(1, keepdims=True) * len(bank)
    assert np.abs(plain.sum(0) * M - 1).max() > 0.5


def top_counts(scores: Any) -> NDArray[np.int64]:
    """How often each item of the gallery comes first."""
    return np.bincount(np.asarray(scores).argmax(1), minlength=scores.shape[1])


@pytest.mark.parametrize("name", NAMES)
def test_hubs_of_coco_are_fewer(name: str) -> None:
    image, text = np.load(find_shared("clip_coco500.npy"))
    bank, queries = text[:250], text[250:]
    plain = torch.from_numpy(unit(queries) @ unit(image).T)
    options = {"per": "item"} if name == "zscore" else {}  # by form it keeps every ranking
    corrected = correct(image, bank, name, **options)(queries)
    assert (top_counts(corrected) ** 2).sum() < (top_counts(plain) ** 2).sum()
    right = np.arange(250, 500)
    gained = (corrected.argmax(1).numpy() == right).mean()
    assert gained >= (plain.argmax(1).numpy() == right).mean()


# edges and refusals --------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.sampled_from(NAMES),
    st.integers(2, 12),
    st.integers(2, 12),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 1e-6, 1.0]),
)
def test_scores_are_finite(name: str, m: int, b: int, d: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    centre = random.normal(size=d)
    gallery, bank, queries = (centre + spread * random.normal(size=(n, d)) for n in (m, b, 3))
    try:
        found = correct(gallery, bank, name)(queries)
    except errors.NotApplicable as reason:
        assert str(reason) == "zscore: the scores of the gallery do not vary"
        assert spread < 1 or d == 1
        return
    assert found.shape == (3, m)
    assert found.isfinite().all()


@settings(max_examples=40)
@given(st.integers(1, 60), st.floats(0, 3), st.integers(0, 2**32))
def test_nnn_of_any_options(k: int, alpha: float, seed: int) -> None:
    gallery, bank, queries = sides(12, 9, seed)
    assume(np.linalg.norm(gallery, axis=1).min() > 1e-3)
    found = correct(gallery, bank, "nnn", k=k, alpha=alpha)(queries)
    plain = unit(queries) @ unit(gallery).T
    asked = -np.sort(-unit(bank) @ unit(gallery).T, axis=0)[: min(k, 9)].mean(0)
    np.testing.assert_allclose(found, plain - alpha * asked, atol=1e-5)


WRONG: dict[str, dict[str, list[Any]]] = {
    "csls": {"k": [0, -1, 2.0, "2", None, True]},
    "nnn": {
        "k": [0, -1, 2.0, "2", None, True],
        "alpha": [-0.1, math.nan, math.inf, "1", None, True],
    },
    "qbnorm": {"beta": [0, 0.0, -1, math.nan, math.inf, "1", None, True]},
    "sinkhorn": {
        "temperature": [0, 1e-4, -1, math.nan, math.inf, "1", None, True],
        "steps": [0, -1, 2.0, "2", None, True],
    },
    "zscore": {"per": ["forms", 1, None, ""]},
}


def test_every_option_has_wrong_values() -> None:
    found = {name: set(rule.options) for name, rule in CORRECTIONS.items()}
    assert {name: set(options) for name, options in WRONG.items()} == found


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, options in WRONG.items() for option in options]
)
def test_wrong_values_of_options(name: str, option: str) -> None:
    gallery, bank, _ = sides()
    for value in WRONG[name][option]:
        with pytest.raises(errors.OptionError, match=rf"{option} must be .*; got "):
            correct(gallery, bank, name, **{option: value})


def test_unknown_names_come_with_a_hint() -> None:
    gallery, bank, _ = sides()
    with pytest.raises(errors.OptionError, match="unknown correction 'cls'; did you mean 'csls'"):
        correct(gallery, bank, "cls")
    with pytest.raises(errors.OptionError, match="unknown correction 'x'; known: csls, nnn"):
        correct(gallery, bank, "x")
    with pytest.raises(errors.OptionError, match="option of nnn 'alpa'; did you mean 'alpha'"):
        correct(gallery, bank, "nnn", alpa=1)
    with pytest.raises(errors.OptionError, match="method must be a string or a Correction"):
        correct(gallery, bank, None)  # type: ignore[arg-type]


def test_rows_that_do_not_fit() -> None:
    gallery, bank, queries = sides()
    with pytest.raises(errors.InputError, match="the same width; got 8 and 7"):
        correct(gallery, bank[:, :7])
    with pytest.raises(errors.InputError, match="queries: must have 8 columns; found 7"):
        correct(gallery, bank)(queries[:, :7])
    for value, words in ((0, "only zeros"), (np.nan, "nan or infinity")):
        bad = bank.copy()
        bad[3] = value
        with pytest.raises(errors.InputError, match=f"bank: .* row 3 holds {words}"):
            correct(gallery, bad)
        with pytest.raises(errors.InputError, match=f"gallery: .* row 3 holds {words}"):
            correct(bad, bank)
        with pytest.raises(errors.InputError, match=f"query: .* row 3 holds {words}"):
            correct(gallery, bank)(bad)
    for wrong in (None, 3, "rows", [["a"]]):
        with pytest.raises(errors.InputError):
            correct(wrong, bank)


@pytest.mark.parametrize("name", NAMES)
def test_cards(name: str) -> None:
    rule = CORRECTIONS[name]
    assert rule.card.name == name
    for text in (rule.card.title, rule.card.idea, rule.card.equation, rule.card.source):
        assert text.strip() == text != ""
    for option in rule.options:
        assert f"``{option}``" in (rule.learn.__doc__ or "")
    correction = correct(*sides()[:2], name)
    assert correction.used == rule.options
