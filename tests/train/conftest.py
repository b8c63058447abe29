"""Fixtures of the tests of train."""

from __future__ import annotations

import pytest
from trained import config

from modalgap.train import Run, train


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of ``TINY``."""
    folder = tmp_path_factory.mktemp("train") / "run"
    return train(config(watch={"tensorboard": True}), folder)
