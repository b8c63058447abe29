"""Fixtures of the tests of data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import collections

from modalgap.data import DATASETS
from modalgap.data.mad import (
    Digits,
    Mad,
    build,
    digits,
)


@pytest.fixture
def built(tmp_path: Path) -> Callable[[str], Path]:
    """Lay out a data set; give its folder."""

    def build(name: str) -> Path:
        folder = tmp_path / DATASETS[name].card.folder
        collections.BUILD[name](folder)
        return folder

    return build


@pytest.fixture(scope="module")
def few() -> Digits:
    return digits(limit=40)


@pytest.fixture(scope="module")
def made(few: Digits) -> Mad:
    return build(few, workers=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few: Digits) -> Path:
    folder = tmp_path_factory.mktemp("mad") / "m"
    build(few, folder, workers=1)
    return folder
