"""Without the shared data tests skip with a reason; where CI runs they fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import find_shared


def test_missing_file_skips(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="needs shared"):
        find_shared("none.npy", tmp_path, ci=False)


def test_missing_file_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.fail.Exception, match="needs shared"):
        find_shared("none.npy", tmp_path, ci=True)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs"):
        find_shared("none.npy", tmp_path)
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        find_shared("none.npy", tmp_path)


def test_present_file(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    (tmp_path / "a.npy").touch()
    assert find_shared("a.npy", tmp_path, ci=True) == tmp_path / "a.npy"
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)):
        shared_data("no such file")
