"""A Ray that is started here ends with the command, however that ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import LIMIT, in_full
from work.ending_cases import Started

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
SPREAD = """
import sys
from pathlib import Path
from modalgap.ending import guard
from modalgap.work import on
from work.ray_cases import waiting
guard()
try:
    with on("ray") as made:
        for _, process in made.run(waiting(Path(sys.argv[1])), ((i,) for i in range(6))):
            print("result", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    "kind", ["SIGKILL", *(pytest.param(each, marks=in_full) for each in ("end", "SIGINT"))]
)
def test_no_process_is_left(
    kind: str,
    start: Callable[..., Started],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Path(__file__).resolve().parents[1]
    paths = [str(here), str(here.parent / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if kind == "end":
        (tmp_path / "go").touch()
    found = start("-c", SPREAD, tmp_path)
    if kind != "end":
        found.until(lambda: any(tmp_path.glob("call [2-9]")))
        assert len(found.processes()) > 3
    if kind == "SIGINT":  # as a terminal does
        os.killpg(found.child.pid, signal.SIGINT)
    elif kind == "SIGKILL":
        found.child.kill()
    else:
        found.until(lambda: found.text().count("result") == 6)
    # after SIGKILL it is Ray that ends its processes, and it takes its time on a busy machine
    code = found.ended(LIMIT) if kind == "SIGKILL" else found.ended()
    assert code == {"end": 0, "SIGINT": 130, "SIGKILL": -signal.SIGKILL}[kind]
    lines = found.text().splitlines()
    assert lines[0] == "modalgap: starting Ray on this machine"
    assert set(lines[1:]) - {"result"} == (
        {each for each in lines if each.startswith("modalgap: node ")} if kind == "end" else set()
    )
