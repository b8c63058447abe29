"""Fixtures of the tests of invert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tiny
from invert.cases import looks, small_model
from invert.picture_towers_cases import PICTURES, Picture
from invert.towers_cases import TEXTS, Text

from modalgap.embeddings import Pair
from modalgap.encode import Encoder, load_model


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_model(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def model(spec: str) -> Encoder:
    return load_model(spec)


@pytest.fixture(scope="module")
def pair(model: Encoder) -> Pair:
    return looks(model)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A model of sentences of 20 positions, not trained."""
    tiny.add_configs(tmp_path_factory.mktemp("configs"))
    return tiny.encoder("short")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Any]:
    """make(name, cases): a case, made once."""
    known: dict[tuple[str, int], Any] = {}

    def made(name: str, cases: Any) -> Any:
        if (name, id(cases)) not in known:
            known[name, id(cases)] = cases[name](tmp_path_factory.mktemp("model"))
        return known[name, id(cases)]

    return made


@pytest.fixture(params=list(TEXTS))
def text(request: pytest.FixtureRequest, make: Callable[[str, Any], Text]) -> Text:
    return make(request.param, TEXTS)


@pytest.fixture(params=list(PICTURES))
def picture(request: pytest.FixtureRequest, make: Callable[[str, Any], Picture]) -> Picture:
    return make(request.param, PICTURES)
