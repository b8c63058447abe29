"""Maps and rows that the tests of exports share."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import two_cones

from modalgap import errors
from modalgap.close import (
    CLOSERS,
    AffineMap,
    Step,
    fit,
)
from modalgap.embeddings import Pair

N, D = 60, 12
ROLES = ("image", "text")
MAPS = [name for name, closer in CLOSERS.items() if closer.fit is not None]
Rows = NDArray[np.float32]


@functools.cache
def stored() -> dict[str, Rows]:
    """Rows that are not unit: images of 0.2 to 5, texts of about 4."""
    image, text = two_cones(N, D, seed=6)
    return {"image": image.astype(np.float32), "text": text.astype(np.float32)}


def odd() -> AffineMap:
    """Every kind of step: full, diagonal, none; with and without offset; unit or not; wider."""
    random = np.random.default_rng(0)
    b = random.normal(size=D) / 10
    steps = (
        Step(random.normal(size=(D, D)), b, unit=False),
        Step(random.uniform(0.5, 2, D), None, unit=False),
        Step(None, b),
        Step(random.uniform(0.5, 2, D), b),
        Step(random.normal(size=(D + 5, D))),
        Step(),
    )
    return AffineMap(
        dims={"image": D, "text": D},
        roles={"image": steps, "text": (Step(random.normal(size=(D + 5, D)), unit=False),)},
        method="odd",
    )


def pair() -> Pair:
    return Pair(stored()["image"], stored()["text"])


@functools.cache
def made(name: str) -> AffineMap:
    if name == "odd":
        return odd()
    if name == "composed":
        first = fit(pair(), "realign")
        return first.then(fit(first.apply(pair()), "pca_text"))
    if name == "isoclip":
        weights = np.random.default_rng(5).normal(size=(2, D, D))
        return fit(dict(zip(ROLES, weights, strict=True)), name, top=2, bottom=1)
    return fit(pair(), name)


def shown(map_: AffineMap) -> dict[str, Rows]:
    """Closed rows of both roles."""
    return {role: map_(stored()[role], role) for role in ROLES}


def refused(words: str, kind: type[errors.ModalgapError] = errors.InputError) -> Any:
    return pytest.raises(kind, match=words)


EVERY = [*MAPS, "composed", "odd"]
