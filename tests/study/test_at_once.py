"""Two processes run studies with one folder of models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from patience import in_full

CODE = """
import sys
from modalgap.study import imbalance

few = {"steps": 2, "batch": 32, "data.limit": 200, "watch.measure": 0}
imbalance(sys.argv[1], attributes=(1,), train=few, models=sys.argv[2], jobs=1)
"""


@in_full
def test_two_studies_share_models_at_the_same_time(tmp_path: Path) -> None:
    models = tmp_path / "models"
    both = [
        subprocess.Popen([sys.executable, "-c", CODE, str(tmp_path / name), str(models)])
        for name in ("a", "b")
    ]
    assert [each.wait(600) for each in both] == [0, 0]
    first, second = (
        json.loads((tmp_path / name / "study.json").read_text())["rows"] for name in ("a", "b")
    )
    assert first == second
    assert len(list(models.glob("[!.]*"))) == 1
