"""modalgap data emoji."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run
from emoji_cases import packages

pytest.importorskip("emoji")
pytest.importorskip("resvg_py")


def test_it_says_what_it_made(run: Run, tmp_path: Path) -> None:
    packages(tmp_path / "npm")
    made, sheet = tmp_path / "emoji", tmp_path / "sheet.png"
    code, out, err = run(
        "data", "emoji", tmp_path / "npm", "-o", made, "--size", "16", "--sheet", sheet
    )
    assert code == 0, err
    assert out.splitlines() == [
        "styles   noto 1.0.0, twemoji 1.0.0, fluent-emoji-flat 1.0.0 (held out)",
        "images   31 of 16 x 16 pixels; without 3 older ones, which their packages hide",
        "things   11: 9 in 3 styles, 2 in 2 styles and 0 in one",
        "matched  31 images with the same thing in another style, 2 by name and the others by code"
        " points; not matched 0",
        "splits   train 17, test 4, style 8, test_style 2",
        f"folder   {made}",
        f"sheet    {sheet}",
    ]
    assert "has no openmoji: npm install @iconify-json/openmoji" in err
    assert sheet.is_file()
    code, out, err = run("data", "check", "emoji", "--root", tmp_path)
    assert code == 0
    assert "test_style: complete" in out


def test_refusals(run: Run, tmp_path: Path) -> None:
    packages(tmp_path / "npm")
    code, _, err = run("data", "emoji", tmp_path, "-o", tmp_path / "emoji")
    assert code == 2
    assert err.count("\n") == 1
    assert "npm install @iconify-json/noto" in err
    code, _, err = run(
        "data", "emoji", tmp_path / "npm", "-o", tmp_path / "m", "--styles", "noto,nota"
    )
    assert (code, "did you mean 'noto'" in err) == (2, True)
    code, _, err = run(
        "data", "emoji", tmp_path / "npm", "-o", tmp_path / "m", "--sheet", tmp_path / "a.jpg"
    )
    assert (code, "must end in .png" in err) == (2, True)
    assert not (tmp_path / "m").exists()
