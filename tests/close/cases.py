"""Pairs and references that the tests of closing share."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import Floats, two_cones

from modalgap import errors
from modalgap.close import CLOSERS, AffineMap, Transductive, close, fit
from modalgap.embeddings import Embeddings, Pair

with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
    warnings.simplefilter("ignore")
    import ot  # noqa: F401

N, D = 80, 12
MAPS = [name for name, closer in CLOSERS.items() if closer.fit is not None]
ON_DATA = [name for name in MAPS if not CLOSERS[name].card.needed("weights")]
NO_MAPS = [name for name in CLOSERS if name not in MAPS]
OPTIONS: dict[str, dict[str, Any]] = {"isoclip": {"top": 2, "bottom": 1}}
ROLES = ("image", "text")
Shown = dict[str, NDArray[np.float32]]


@functools.cache
def arrays(n: int = N, d: int = D, each: int = 1) -> tuple[Floats, Floats]:
    return two_cones(n, d, seed=4, of=np.arange(n).repeat(each))


@functools.cache
def pair(n: int = N, d: int = D) -> Pair:
    image, text = arrays(n, d)
    told = {"model": "ViT-B/16", "weights_hash": "aa", "data": "none"}
    return Pair(
        Embeddings(image, "image", [f"{i}.png" for i in range(n)], {"i": np.arange(n)}, told),
        Embeddings(text, "text", provenance=told),
    )


def weights(d: int = D) -> dict[str, Floats]:
    """Projections of isoclip, to the width of everything here."""
    random = np.random.default_rng(5)
    return {"image": random.normal(size=(d, d + 8)), "text": random.normal(size=(d, d + 3))}


def made(name: str, data: Any = None, **options: Any) -> AffineMap:
    """A closer fitted on data, by default on ``pair()``; or on weights where it needs those."""
    data = pair() if data is None else data
    if name not in ON_DATA:
        data = weights()
    return fit(data, name, **(OPTIONS.get(name, {}) | options))


@functools.cache
def plain(name: str) -> AffineMap:
    return made(name)


def shown(map_: AffineMap, data: Pair | None = None) -> Shown:
    """Closed rows of both roles."""
    data = pair() if data is None else data
    return {side.modality: map_(side.unit(), side.modality) for side in data.sides}


def same(found: Shown, expected: Shown, near: float = 1e-6, *, signs: bool = False) -> None:
    assert found.keys() == expected.keys()
    if signs:
        found, expected = (
            {"all": np.concatenate([*each.values()]) @ np.concatenate([*each.values()]).T}
            for each in (found, expected)
        )
    for role, rows in expected.items():
        np.testing.assert_allclose(found[role], rows, atol=near, rtol=0)


def is_unit(rows: Any) -> None:
    rows = np.asarray(rows, np.float64)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1, atol=1e-5)


def refused(words: str, kind: type[errors.ModalgapError] = errors.InputError) -> Any:
    return pytest.raises(kind, match=words)


def shown_in(data: Pair) -> Shown:
    return {side.modality: side.unit().numpy() for side in data.sides}


def judge(data: Any, name: str, **options: Any) -> Pair | None:
    """Close a pair: unit rows, or None for a refusal in one line."""
    try:
        closed = at_once(data, name, **options)
    except errors.ModalgapError as error:
        line = str(error)
    else:
        for side in closed.sides:
            is_unit(side.unit())
        return closed
    assert len(line) > 10
    assert "\n" not in line
    return None


def at_once(data: Any, name: str, **options: Any) -> Pair:
    """What ``close`` gives, whether a map or not; of isoclip its map applied."""
    if name not in ON_DATA and name in MAPS:
        closed: Pair = made(name, **options).apply(data)
        return closed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Transductive)
        return close(data, name, **options)


SMALL = {"transport": {"reg": 0}}  # its Laplacian takes seconds
