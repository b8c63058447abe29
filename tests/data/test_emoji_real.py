"""The usual emoji packages, where npm can install them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from patience import FULL

from modalgap.data.emoji import USUAL, npm, svg
from modalgap.data.emoji.packages import packages
from modalgap.data.emoji.things import pictures

pytest.importorskip("emoji")
pytest.importorskip("resvg_py")


@pytest.mark.slow
def test_the_usual_packages(tmp_path: Path) -> None:
    """All their pictures can be drawn, and most things are in all styles."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    command = [*npm().split(), "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError:
        pytest.skip("npm cannot install the packages")
    found = packages(tmp_path)
    assert sorted(each.style for each in found) == sorted(USUAL)
    assert all(each.licence != "not stated" for each in found)
    gathered = pictures(found)
    assert len(gathered) > 15_000
    styles = gathered.in_styles()
    assert styles[4] > 3_000
    assert styles[1] < 1_000
    assert gathered.by_name < 20
    assert len({thing.name for thing in gathered.things}) == sum(styles.values())
    for icon in gathered.icons[:: 1 if FULL else 20]:
        svg.drawing(icon, 64)
    for icon in gathered.icons[:: len(gathered) // 50]:
        seen = svg.pixels(icon, 32)
        assert seen.shape == (32, 32, 3)
        assert seen.std() > 1, icon.name
