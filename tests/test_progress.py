"""Progress where stderr is not a terminal."""

from __future__ import annotations

import time

import pytest

from modalgap.progress import progress


def test_a_line_per_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("steps", 4_000, first=1_000) as advance:
        for _ in range(30):
            now += 30.0
            advance(100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "modalgap: steps: 1,200 of 4,000, about 14 min left"
    assert len(lines) == 14  # none at the end: the result follows
    with progress("short", 10) as advance:
        now += 59.0
        advance(9)
    assert not capsys.readouterr().err
