"""Fixtures of the tests of embeddings."""

from __future__ import annotations

import pytest

from modalgap import files


@pytest.fixture(params=["at once", "as needed"])
def lazily(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Small files read into memory at once, or left on disk as large ones are."""
    if request.param == "as needed":
        monkeypatch.setattr(files, "SMALL", -1)
    return bool(request.param == "as needed")
