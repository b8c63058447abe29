"""What must hold of every closer that fits a map, and so of one added tomorrow; and bad input."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from close.cases import (
    MAPS,
    NO_MAPS,
    OPTIONS,
    ROLES,
    SMALL,
    D,
    arrays,
    at_once,
    is_unit,
    judge,
    pair,
    plain,
    refused,
    same,
    shown,
    shown_in,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from reference.cases import unit

from modalgap import errors
from modalgap.close import CLOSERS, AffineMap, Step, Transductive, close, fit
from modalgap.embeddings import Embeddings, Moments, Pair, moments

# composing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_one_map_after_another(name: str) -> None:
    first = plain(name)
    once = first.apply(pair())
    for after in ("none", "center", "whiten", "pca_text", "procrustes", "realign"):
        second = fit(once, after)
        both = first.then(second)
        twice = second.apply(once)
        near = 1e-4 if after in ("whiten", "center") else 1e-5
        same(shown(both), shown_in(twice), near)
        same(shown_in(both.apply(pair())), shown_in(twice), near)
        assert both.method == f"{name} > {after}"
        assert both.fitted_on == first.fitted_on
        closed = both.apply(pair()).image.provenance["closed"]
        assert closed == f"{name} > {after} {both.fingerprint[:12]}"
        assert twice.image.provenance["closed"] == (
            f"{name} {first.fingerprint[:12]} > {after} {second.fingerprint[:12]}"
        )
        if name != after:
            assert both.options == {"first": first.options, "then": second.options}
            assert both.facts == {"first": first.facts, "then": second.facts}


def test_what_is_not_unit_is_made_so_between_two_maps() -> None:
    long = AffineMap(
        dims={"image": 2}, roles={"image": (Step(np.diag([3.0, 1.0]), unit=False),)}, method="long"
    )
    after = AffineMap(
        dims={"image": 2}, roles={"image": (Step(offset=np.array([0.5, 0.0])),)}, method="after"
    )
    rows = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(long.image(rows), unit(rows) * [3, 1], atol=1e-6)
    expected = unit(unit(unit(rows) * [3, 1]) + np.array([0.5, 0]))
    np.testing.assert_allclose(long.then(after).image(rows), expected, atol=1e-6)
    np.testing.assert_allclose(after.image(long.image(rows)), expected, atol=1e-6)
    found = long.inverse(long.image(rows), "image")
    np.testing.assert_allclose(found, unit(rows), atol=1e-6)


def test_maps_that_do_not_follow() -> None:
    half = plain("pca_text")
    with refused("then: the second map must take 'image' of 6 columns; found 12"):
        half.then(plain("center"))
    only = fit(pair().image, "center")
    with refused("then: .* 'text' of 12 columns; found no such role"):
        plain("center").then(only)
    assert set(only.then(plain("center")).roles) == {"image"}


INVERTIBLE = {name for name in MAPS if "invertible" in CLOSERS[name].card.traits}


@pytest.mark.parametrize("name", [name for name in MAPS if name != "ridge"])
def test_inverse(name: str) -> None:
    map_ = plain(name)
    assert map_.invertible == (name in INVERTIBLE)
    for role, side in zip(ROLES, pair().sides, strict=True):
        steps = map_.roles[role]
        if name in INVERTIBLE or steps == ():
            closed = map_(side.unit(), role)
            np.testing.assert_allclose(map_.inverse(closed, role), side.unit(), atol=2e-4)
            np.testing.assert_allclose(map_.inverse(7 * closed, role), side.unit(), atol=2e-4)
            np.testing.assert_allclose(map_.inverse(closed[:1], role), side.unit(0, 1), atol=2e-4)
            continue
        with refused(f"{name}: this map cannot be inverted for {role}s", errors.NotApplicable):
            map_.inverse(shown(map_)[role], role)


def test_inverse_of_what_no_map_makes() -> None:
    away = fit(pair(), "shift", length=6.0)  # two unit rows may give one
    assert not away.invertible
    with refused("shift: this map cannot be inverted for images", errors.NotApplicable):
        away.inverse(away.image(pair().image.unit()), "image")
    with refused("image: must have 12 columns; got 5"):
        plain("center").inverse(np.ones((3, 5)), "image")
    with refused("unknown role of this map 'txt'; did you mean 'text'", errors.OptionError):
        plain("center").inverse(np.ones((3, D)), "txt")


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 9), st.floats(0, 0.95), st.booleans())
def test_inverse_of_any_map_with_a_short_offset(
    seed: int, d: int, length: float, diagonal: bool
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.uniform(0.3, 2, d) if diagonal else random.normal(size=(d, d)) + 3 * np.eye(d)
    b = random.normal(size=d)
    b *= length / np.linalg.norm(b)  # x + b is never zero: then A b is the offset
    offset = matrix * b if diagonal else matrix @ b
    map_ = AffineMap(dims={"r": d}, roles={"r": (Step(matrix, offset),)}, method="any")
    if not map_.invertible:
        return
    rows = unit(random.normal(size=(20, d)))
    condition = 1.0 if diagonal else float(np.linalg.cond(matrix))
    np.testing.assert_allclose(
        map_.inverse(map_(rows, "r"), "r"), rows, atol=1e-5 * max(1, condition) / (1 - length) ** 2
    )


# documents of both --------------------------------------------------------------------------------


@given(st.floats(0, 1))
@example(0.5)
@example(1.0)
@example(0.0)
def test_fuse_is_the_formula_of_gr_clip(weight: float) -> None:
    image, text = arrays()
    x, y = unit(image), unit(text)
    means = weight * x.mean(0) + (1 - weight) * y.mean(0)
    expected = unit(weight * x + (1 - weight) * y - means)
    np.testing.assert_allclose(plain("center").fuse(image, text, weight), expected, atol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_fuse_of_one_side_alone(name: str) -> None:
    image, text = arrays()
    found, map_ = shown(plain(name)), plain(name)
    np.testing.assert_allclose(map_.fuse(image, text, 1), found["image"], atol=1e-6)
    np.testing.assert_allclose(map_.fuse(image, text, 0), found["text"], atol=1e-6)
    is_unit(map_.fuse(image, text))
    one = map_.fuse(image[:1], text[:1], 0.3)
    np.testing.assert_allclose(one, map_.fuse(image, text, 0.3)[:1], atol=1e-6)


def test_fuse_is_refused() -> None:
    image, text = arrays()
    for weight in (-0.1, 1.1, math.nan, None, "1", True):
        with refused("weight must be a number", errors.OptionError):
            plain("center").fuse(image, text, weight)  # type: ignore[arg-type]
    with refused("one shape after closing.*found .80, 12. and .79, 12."):
        plain("center").fuse(image, text[:-1])
    with refused("text: must have 12 columns; found 11"):
        plain("center").fuse(image, text[:, :-1])
    with refused("unknown role of this map 'text'", errors.OptionError):
        fit(pair().image, "center").fuse(image, text)
    with refused("the mixed documents: closing maps row", errors.NotApplicable):
        plain("none").fuse(image, -image)


# closers that are no maps -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NO_MAPS)
def test_what_is_no_map_is_not_fitted(name: str) -> None:
    assert CLOSERS[name].transductive
    with refused(
        f"{name} is transductive.* no map to fit; use modalgap.close.pair, '{name}'",
        errors.OptionError,
    ):
        fit(pair(), name)


@pytest.mark.parametrize("name", NO_MAPS)
def test_closing_by_what_is_no_map(name: str) -> None:
    image, text = np.random.default_rng(0).normal(size=(2, 24, 5)) + 2
    told = {"model": "m"}
    several = Pair(
        Embeddings(image[:12], "image", list("abcdefghijkl"), {"o": np.arange(12)}, told),
        Embeddings(text, "text", provenance=told | {"closed": "before"}),
        np.arange(24) // 2,
    )
    with pytest.warns(Transductive, match=f"{name} is transductive: it moves these rows"):
        closed = close(several, name, **SMALL.get(name, {}))
    for side in closed.sides:
        is_unit(side.unit())
    assert closed.image.names == several.image.names
    assert list(closed.image.factors) == ["o"]
    np.testing.assert_array_equal(closed.text_to_image, several.text_to_image)
    assert closed.image.provenance == told | {"closed": name}
    assert closed.text.provenance == told | {"closed": f"before > {name}"}
    if closed.dim == 5:
        with refused("is closed already"):
            fit(Pair(image, text), "center").apply(closed)


NUMBERS = [math.nan, math.inf, -math.inf, "1", True, [1.0]]
SEEDS = [-1, 0.5, "0", None, True]
WRONG: dict[str, dict[str, list[Any]]] = {
    "none": {},
    "center": {},
    "erase_gap": {},
    "project": {
        "alpha": [*NUMBERS, None],
        "retrieved": ["both", "", 3, ["image"]],
        "explained_variance": [*NUMBERS, 0, -0.1, 1.01, None],
    },
    "shift": {"alpha": NUMBERS, "side": ["left", "Image", None, 3], "length": NUMBERS},
    "standardize": {"to": ["both", "", 3, ["text"]]},
    "realign": {},
    "whiten": {"shrinkage": [*NUMBERS, -0.1, 1.1]},
    "drop_dims": {"k": [0, -1, 2.0, "2", None, True, D, D + 100]},
    "pca_text": {"k": [0, -1, 2.0, "2", True]},
    "shared_subspace": {"k": [0, -1, 2.0, "2", True], "seed": SEEDS},
    "procrustes": {"seed": SEEDS},
    "cca": {
        "dims": [0, -1, 2.0, "2", True],
        "power": [*NUMBERS, -0.1, None],
        "shrinkage": [*NUMBERS, -0.1, 1.1],
        "seed": SEEDS,
    },
    "ridge": {"penalty": [*NUMBERS, 0, -1.0, None], "seed": SEEDS},
    "isoclip": {
        "top": [-1, 2.0, "2", None, True, D, 10**30],
        "bottom": [-1, 2.0, "2", None, True, D, 10**30],
    },
    "noise": {
        "variance": [*NUMBERS, -0.1, None],
        "side": ["left", "audio", 3],
        "seed": SEEDS,
    },
    "transport": {"reg": [*NUMBERS, -0.1, None], "iterations": [0, -1, 2.0, "2", None, True]},
    "spectral": {"k": [0, -1, 2.0, "2", None, True]},
}


# options ------------------------------------------------------------------------------------------


def test_every_option_has_wrong_values() -> None:
    found = {name: set(closer.options) for name, closer in CLOSERS.items()}
    assert {name: set(values) for name, values in WRONG.items()} == found


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, options in WRONG.items() for option in options]
)
def test_wrong_values_of_options(name: str, option: str) -> None:
    for value in WRONG[name][option]:
        with pytest.raises(errors.OptionError, match=rf"{option}\b.*; got ") as caught:
            at_once(pair(), name, **{option: value})
        assert "\n" not in str(caught.value)


JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.floats(-1e6, 1e6)
    | st.sampled_from([math.nan, math.inf, "image", "text", "both", b"1", (), {}, 1j, object()])
    | st.text(max_size=4)
)
OF_DATA = [
    (name, option)
    for name, closer in CLOSERS.items()
    for option in closer.options
    if name not in ("isoclip", "transport")
]


@settings(max_examples=200)
@given(st.sampled_from(OF_DATA), JUNK)
def test_any_value_of_any_option(which: tuple[str, str], value: Any) -> None:
    name, option = which
    assume(not (which == ("shift", "alpha") and value is None))
    assume(not (which == ("cca", "power") and isinstance(value, float) and value > 50))
    judge(pair(), name, **{option: value})


@pytest.mark.parametrize("name", MAPS)
def test_a_map_holds_all_its_options(name: str) -> None:
    map_ = plain(name)
    assert map_.method == name
    assert map_.options == {**CLOSERS[name].options, **OPTIONS.get(name, {})}
    json.dumps([map_.options, map_.facts, map_.fitted_on], allow_nan=False)


def test_moments_keep_their_type() -> None:
    assert isinstance(moments(pair().image), Moments)
    only = fit({"image": moments(pair().image)}, "center")
    np.testing.assert_allclose(only.image(arrays()[0]), shown(plain("center"))["image"], atol=1e-6)
