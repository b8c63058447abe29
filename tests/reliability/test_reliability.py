"""A small share of the long tests in ``reliability/``, and that these can fail."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TODAY = str(datetime.datetime.now(tz=datetime.UTC).date())  # other inputs each day


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reliability", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip


def test_damaged_inputs(tmp_path: Path) -> None:
    """If it fails: ``python -m reliability fuzz --seed DATE`` finds the input again."""
    quick = ("embeddings", "shards", "maps", "answers", "configs", "checkpoints", "zoos", "images")
    only = [word for name in quick for word in ("--only", name)]
    faults = tmp_path / "faults"
    done = run(
        "fuzz", "--inputs", 1000, "--seed", TODAY, "--faults", faults, *only, folder=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\n1,\d{3} inputs, \d+ refused, 0 kinds of fault", done.stdout)


def test_damaged_inputs_by_coverage(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    done = run(
        "fuzz", "--guided", "--inputs", 300, "--seed", TODAY, "--only", "answers",
        "--faults", tmp_path / "faults", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"\n(\d+) inputs, ", done.stdout)[0]) >= 300


@pytest.mark.slow
def test_killed_commands(tmp_path: Path) -> None:
    only = ("--only", "convert to shards", "--only", "encode texts")
    done = run("kill", "--kills", 8, "--seed", TODAY, *only, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults;" in done.stdout


FAULTS = """
import os, subprocess, sys, time
from pathlib import Path
from reliability import fuzz, targets, trial
from modalgap.errors import InputError

def make(folder):
    for kind in ("traceback", "lines", "outside", "program", "dies", "fine", "refused"):
        targets.place(folder / kind / "a").write_text(kind)

def read(folder):
    if not getattr(read, "ready", False):
        return
    kind = folder.name
    if kind == "traceback":
        raise ValueError("a fault")
    if kind == "lines":
        raise Odd("x")
    if kind == "outside":
        Path(sys.argv[1], "written").write_text("x")
    if kind == "program":
        subprocess.run(["true"])
    if kind == "dies":
        os.abort()
    if kind == "refused":
        raise InputError("a: must be b; found c")

class Odd(InputError):
    def __str__(self):
        return "two\\nlines"

fuzz.TARGETS["odd"] = targets.Target(make, read)
fuzz.BATCH = 40
real = trial.attempt
def attempt(*arguments):
    read.ready = True
    return real(*arguments)
trial.attempt = attempt
code = fuzz.main(120, "seed", ["odd"], Path(sys.argv[2]), Path(sys.argv[3]), False)
assert code == 1
"""


def test_faults_are_found(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("outside", "work", "faults")]
    for each in folders:
        each.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, *folders],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(each.read_text()) for each in folders[2].glob("*/about.json")]
    said = {each["file"].partition("/")[0]: each["fault"].partition(":")[0] for each in found}
    assert said["traceback"].startswith("ValueError")
    assert said["lines"] == "not one line"
    assert {said.get(kind) for kind in ("outside", "program")} <= {"forbidden", None}
    assert "forbidden" in said.values()  # one input of each kind of fault is kept
    assert said["dies"].startswith("process ended (-6)")
    assert not said.keys() & {"fine", "refused"}


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``python -m reliability ARGUMENTS`` in this process."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["reliability", *arguments])
        code: int = importlib.import_module("reliability.__main__").main()
        return code

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--help"], 0, "coverage of 95% intervals"),
        (["fuzz", "--only", "x"], 2, "--only: must be one of embeddings, shards"),
        (["disks", "--only", "x"], 2, "--only: must be one of convert, convert to shards"),
        (["kill", "--kills", "0"], 2, "--kills: must be an integer of at least 1; got '0'"),
        (["numbers", "--seed", "-1"], 2, "--seed: must be an integer of at least 0; got '-1'"),
    ],
)
def test_options(
    arguments: list[str],
    code: int,
    text: str,
    main: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(*arguments)
    assert leaving.value.code == code
    assert text in "".join(capsys.readouterr())
    assert not list(tmp_path.iterdir())


def test_the_seed_of_numbers(main: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliability.numbers.main", lambda cases, seed, _: 10 * cases + seed)
    assert main("numbers", "--cases", "2", "--seed", "7") == 27


@pytest.mark.filterwarnings("ignore::modalgap.close.base.Transductive")
def test_changes_that_must_not_change_a_number(
    main: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main("numbers", "--cases", "1", "--seed", "1") == 0
    checked = importlib.import_module("reliability.numbers")

    def moved(data: Any, *_: object) -> Any:
        return dataclasses.replace(data, image=data.image + 1).pair()

    monkeypatch.setattr(checked, "CHANGES", {"moved": moved})
    monkeypatch.setattr(checked, "DRAWS", 1)
    assert main("numbers", "--cases", "1", "--seed", "1") == 1
    assert "moved: l2m: 1 of 1" in capsys.readouterr().out
