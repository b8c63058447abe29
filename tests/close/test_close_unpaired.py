"""Every closer against an independent implementation, and the guarantee that ``project`` rests on.

The references take unit rows in float64 and follow the equations of SCIENCE.md, section 3, by
scikit-learn, scipy, POT or plain numpy; none of them calls modalgap.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from close.closer_cases import (
    Sides,
    case_of,
    closed,
    cosines,
    pair_of,
    transport,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from reference.cases import Case, Floats, unit

from modalgap import errors
from modalgap.close import AffineMap, Step, Transductive, close, fit
from modalgap.embeddings import Pair

with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
    warnings.simplefilter("ignore")
    import ot


@functools.cache
def many() -> Pair:
    image, text = np.random.default_rng(1).normal(size=(2, 2000, 64)) + 0.3
    return Pair(image, text)


def noisy(**options: Any) -> Sides:
    with pytest.warns(Transductive):
        found = close(many(), "noise", **options)
    image, text = (side.unit().double().numpy() for side in found.sides)
    return image, text


# noise and transport ------------------------------------------------------------------------------


def test_mean_and_variance_of_the_noise() -> None:
    # noise across a row is seen before the row is normalised: divided by the part along it
    sigma, d = 1e-2, 64
    y = many().text.unit().double().numpy()
    _, text = noisy(variance=sigma**2)
    along = (text * y).sum(1, keepdims=True)
    across = text / along - y
    assert across.mean() == pytest.approx(0, abs=4 * sigma / np.sqrt(across.size))
    assert (across**2).sum() / (len(y) * (d - 1)) == pytest.approx(sigma**2, rel=0.02)
    spread = across.std(0)
    assert spread.min() > 0.9 * sigma
    assert spread.max() < 1.1 * sigma
    assert np.abs(np.corrcoef(across.T) - np.eye(d)).max() < 0.12


def test_default_noise_is_that_of_capdec() -> None:
    y = many().text.unit().double().numpy()
    _, text = noisy()
    drawn = np.random.default_rng(99).normal(scale=np.sqrt(0.016), size=y.shape)
    expected = (unit(y + drawn) * y).sum(1)
    found = (text * y).sum(1)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.01)
    assert found.std() == pytest.approx(expected.std(), rel=0.1)


def test_seed_and_side_of_noise() -> None:
    x, y = (side.unit().double().numpy() for side in many().sides)
    image, text = noisy()
    np.testing.assert_allclose(image, x, atol=1e-6)
    np.testing.assert_array_equal(noisy(seed=0)[1], text)
    assert np.abs(noisy(seed=1)[1] - text).max() > 0.1
    image, text = noisy(side="image")
    np.testing.assert_allclose(text, y, atol=1e-6)
    assert np.abs(image - x).max() > 0.1
    image, text = noisy(side="both", variance=1e-4)
    correlation = np.corrcoef((image - x).ravel(), (text - y).ravel())[0, 1]
    assert abs(correlation) < 0.02  # a draw of its own for each side
    np.testing.assert_allclose(noisy(variance=0)[1], y, atol=1e-6)


def test_transport_with_more_texts_than_images() -> None:
    case = case_of("positive")
    several = Pair(case.image[:12], case.text[:36], np.arange(36) % 12)
    with pytest.warns(Transductive):
        found = close(several, "transport", reg=0)
    _, expected = transport(Case(case.image[:12], case.text[:36]), reg=0)
    np.testing.assert_allclose(found.text.unit(), expected, atol=1e-5)


def test_transport_with_a_plan_that_splits() -> None:
    case = case_of("positive")
    x, y = case.x[:10], case.y[:7]
    with pytest.warns(Transductive):
        found = close(Pair(x, y, np.arange(7)), "transport", reg=0)
    cost = ((y[:, None] - x[None]) ** 2).sum(2)
    plan = ot.emd(np.full(7, 1 / 7), np.full(10, 1 / 10), cost)
    np.testing.assert_allclose(found.text.unit(), unit(plan @ x), atol=1e-5)


def test_the_laplacian_term_tells() -> None:
    # else its comparison could not fail
    plain, found = (closed("positive", "transport", {"reg": reg})[1] for reg in (0, 5.0))
    assert np.abs(found - plain).max() > 1e-3


def test_transport_is_refused_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Pair(np.ones((5001, 2)), np.ones((3, 2)), np.zeros(3, int))
    with (
        pytest.raises(errors.NotApplicable, match=r"transport: .* at most 5000 rows .* 5001 and 3"),
        pytest.warns(Transductive),
    ):
        close(wide, "transport")
    monkeypatch.setitem(sys.modules, "ot", None)
    with (
        pytest.raises(errors.NotApplicable, match=r"needs ot: pip install 'modalgap\[transport\]'"),
        pytest.warns(Transductive),
    ):
        close(pair_of("positive"), "transport")


def test_spectral_by_the_solver_that_needs_no_symmetry() -> None:
    case = case_of("positive captions")
    W = case.x @ case.y.T
    n, m = W.shape
    A = np.block([[np.zeros((n, n)), W], [W.T, np.zeros((m, m))]])
    values, vectors = np.linalg.eig(A / A.sum(1, keepdims=True))  # D⁻¹A = I − L_rw
    assert np.abs(values.imag).max() < 1e-9
    kept = vectors[:, np.argsort(-values.real)[1:5]].real
    rows = unit(kept / np.sqrt((A.sum(1)[:, None] * kept**2).sum(0)))  # of length one under D
    found = closed("positive captions", "spectral", {"k": 4})
    np.testing.assert_allclose(cosines(found), rows @ rows.T, atol=1e-5)


COMPARE: dict[str, Callable[[Floats, Floats], Floats]] = {
    "distance": lambda queries, items: -np.linalg.norm(queries[:, None] - items[None], axis=2),
    "inner product": lambda queries, items: queries @ items.T,
    "cosine": lambda queries, items: queries @ unit(items).T,
}


def rankings_kept(queries: Floats, before: Floats, after: Floats, how: str, near: float) -> bool:
    """Whether items stand in the order that they had, but for ties within ``near``."""
    compare = COMPARE[how]
    order = np.argsort(-compare(queries, before), axis=1)
    scores = np.take_along_axis(compare(queries, after), order, axis=1)
    return bool((np.diff(scores, axis=1) <= near).all())


Setting = tuple[Floats, Floats, float]


@st.composite
def settings_of_search(draw: st.DrawFn, spare: int = 0) -> Setting:
    """Unit queries (q, d), unit items (n, d) in two cones, n ≤ d − spare, and α."""
    d = draw(st.integers(3, 24))
    n = draw(st.integers(2, max(2, d - spare)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    centres = random.normal(size=(2, d)) * draw(st.floats(0.1, 3))
    queries = unit(centres[0] + random.normal(size=(12, d)))
    items = unit(centres[1] + random.normal(size=(n, d)))
    alpha = draw(st.floats(-3, 3).filter(lambda a: abs(a) > 1e-3))
    return queries, items, alpha


# the guarantee (SCIENCE.md, section 3) ------------------------------------------------------------


@given(settings_of_search(), st.integers(0, 2**32))
def test_a_shift_off_the_affine_span_changes_no_ranking(found: Setting, seed: int) -> None:
    queries, items, alpha = found
    apart = items[1:] - items[0]  # spans the directions of the affine hull
    v = np.random.default_rng(seed).normal(size=items.shape[1])
    for _ in range(2):  # once more against rounding
        v = v - np.linalg.pinv(apart) @ (apart @ v)
    v = v / np.linalg.norm(v)
    moved = items + alpha * v
    np.testing.assert_allclose(np.ptp(np.linalg.norm(moved, axis=1)), 0, atol=1e-9)
    assume(np.linalg.norm(moved, axis=1).min() > 1e-3)
    for how in COMPARE:
        assert rankings_kept(queries, items, moved, how, 1e-9), how
    # and by a map: float32 rows that are made unit rows
    map_ = AffineMap(dims={"text": len(v)}, roles={"text": (Step(offset=alpha * v),)}, method="v")
    for how in COMPARE:
        near = 1e-5 / np.linalg.norm(moved, axis=1).min()
        assert rankings_kept(queries, items, map_.text(items).astype(float), how, near), how


@given(settings_of_search(spare=1), st.sampled_from(["image", "text"]))
def test_project_with_all_of_the_content_changes_no_ranking(found: Setting, role: str) -> None:
    queries, items, alpha = found
    asking = "image" if role == "text" else "text"
    data = {asking: queries, role: items}
    map_ = fit(data, "project", retrieved=role, explained_variance=1.0, alpha=alpha)
    (step,) = map_.roles[role]
    assert step.offset is not None
    assert map_.roles[asking] == ()
    moved = items + step.offset
    shortest = np.linalg.norm(moved, axis=1).min()
    assume(shortest > 1e-3)
    for how in COMPARE:
        assert rankings_kept(queries, items, moved, how, 1e-5), how
        kept = rankings_kept(queries, items, map_(items, role).astype(float), how, 1e-5 / shortest)
        assert kept, how
    k = min(10, len(items))
    assert map_.facts["top_1_changed"] == map_.facts[f"top_{k}_changed"] == 0


@pytest.mark.parametrize("how", COMPARE)
def test_raw_shift_does_change_rankings(how: str) -> None:
    # else the tests above could not fail
    random = np.random.default_rng(0)
    queries = unit(random.normal(size=(40, 24)) + 1)
    items = unit(random.normal(size=(20, 24)) - 0.5)
    data = {"image": queries, "text": items}
    shifted = fit(data, "shift", side="text")
    (step,) = shifted.roles["text"]
    moved = items + step.offset
    # one vector added to all texts adds one number to all inner products of an image
    assert rankings_kept(queries, items, moved, how, 1e-9) == (how == "inner product")
    closed_items = shifted.text(items).astype(float)
    assert not rankings_kept(queries, items, closed_items, how, 1e-3)
    projected = fit(data, "project", retrieved="text", explained_variance=1.0)
    assert rankings_kept(queries, items, projected.text(items).astype(float), how, 1e-5)


def test_as_many_items_as_dimensions_leave_nothing_to_project() -> None:
    random = np.random.default_rng(0)
    data = {"image": random.normal(size=(30, 12)) + 1, "text": random.normal(size=(30, 12))}
    with pytest.raises(errors.NotApplicable, match=r"project: the 12 directions .* smaller expl"):
        fit(data, "project", explained_variance=1.0)
    truncated = fit(data, "project", explained_variance=0.6)
    assert 0 < truncated.facts["leakage"] < 1
