"""Fixtures of the tests of evaluate."""

from __future__ import annotations

import pytest
from evaluate.rank_cases import Queries


@pytest.fixture(scope="module")
def asked() -> Queries:
    return Queries()
