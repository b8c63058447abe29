"""``turn``: processes use a shared folder one after another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys, time
from pathlib import Path
from modalgap.work import turn

folder = Path(sys.argv[1])
for _ in range(20):
    with turn(folder):
        file = folder / "count"
        before = int(file.read_text()) if file.exists() else 0
        time.sleep(0.002)
        file.write_text(str(before + 1))
"""


def test_no_two_processes_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    both = [subprocess.Popen([sys.executable, "-c", CODE, str(folder)]) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert (folder / "count").read_text() == "40"
