"""modalgap invert, as a user meets it: files, kills, refusals, and what comes after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cli.invert_cases import STOPS, refused, said
from commands import Run

from modalgap.invert import parts
from modalgap.invert.optimise import Descender
from modalgap.work import Parts


@pytest.fixture(scope="module", autouse=True)
def stopped(
    files: Path, spec: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[str], list[object]]]:
    """``modalgap invert oti``, which stops within its third batch, and its arguments.

    It begins with the first test, as a process takes long to begin.
    """
    output = tmp_path_factory.mktemp("stopped") / "o.safetensors"
    command: list[object] = [
        "invert", "oti", files / "images.safetensors", "-m", spec, "--set", "steps=20",
        "--batch-size", 5, "-o", output,
    ]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", STOPS, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield child, command
    child.kill()
    child.communicate()


def test_killed_it_goes_on_to_the_same_bytes(
    stopped: tuple[subprocess.Popen[str], list[object]],
    place: Path,
    files: Path,
    spec: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child, command = stopped
    output = Path(str(command[-1]))
    folder = output.with_name("o.safetensors.parts")
    found = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert found is not None
    assert found.si_code == os.CLD_STOPPED, child.communicate()
    for force in ((), ("--force",)):
        refused(run(*command, *force), f"{folder}: another run is using it")
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert not output.exists()
    assert Parts(folder, "items").spans() == [(0, 5), (5, 10)]
    assert len(list(folder.glob(".modalgap-*.part"))) == 1  # which was being written

    for changes, keys in (
        (("--set", "steps=2"), "(steps: 20, now 2)"),
        (("--seed", 4), "(seed: 0, now 4)"),
        (("--set", "template=red {}"), '(template: "{}", now "red {}")'),
    ):
        refused(run(*command, *changes), "holds a run made with other settings", keys, "--force")
    inverted: list[str] = []
    real = Descender.__call__

    def noted(self: Descender, names: Sequence[str], *given: Any) -> Any:
        inverted.extend(names)
        return real(self, names, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Descender, "__call__", noted)
        code, _, err = run(*command)
    assert code == 0, err
    assert len(inverted) == 14
    assert [path.name for path in output.parent.iterdir()] == ["o.safetensors"]
    assert run(*command[:-1], place / "whole.safetensors")[0] == 0
    assert output.read_bytes() == (place / "whole.safetensors").read_bytes()


def test_a_damaged_part(
    files: Path, spec: str, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (
        "invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors",
        "--set", "steps=2", "--batch-size", 9,
    )  # fmt: skip
    real = parts.write

    def stop(*given: Any) -> None:
        real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write", stop)
        assert run(*asked)[0] == 130
    part = place / "o.safetensors.parts" / "items-000000000-000000009.safetensors"
    part.write_bytes(part.read_bytes()[:-40])
    refused(run(*asked), part.name)
    part.unlink()
    assert run(*asked)[0] == 0
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]


def test_force_begins_anew(
    files: Path, spec: str, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    asked = ("invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(Descender, "__call__", stop)
        code, _, err = run(*asked, "--set", "steps=4")
        assert code == 130
        assert err.endswith("interrupted: the same command resumes\n")
    assert (place / "o.safetensors.parts" / "plan.json").exists()
    refused(run(*asked, "--set", "steps=2"), "(steps: 4, now 2)")
    assert run(*asked, "--set", "steps=2", "--force")[0] == 0
    assert said(Path("o.safetensors"))["steps"] == 2
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]
