"""Fixtures of the tests of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from work.cluster import cluster, ray  # noqa: F401 - fixtures of the tests beside
from work.ending_cases import Started


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """start("-m", "modalgap", ...): it and all that it starts is gone after the test."""
    made: list[Started] = []

    def start(*arguments: object) -> Started:
        made.append(Started(list(arguments), tmp_path / f"said {len(made)}"))
        return made[-1]

    yield start
    for each in made:
        each.close()
