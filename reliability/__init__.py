"""Long tests outside the suite: ``python -m reliability``; results are in docs/reliability.md."""

import sys
from pathlib import Path

# the layouts of data sets and the tiny model of the tests
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
