"""The exit codes of docs/json.md, for every command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import installed
import pytest
import typer
from commands import Run

import modalgap
from modalgap.__main__ import BUG, main
from modalgap.cli.app import app
from modalgap.errors import OutputError

ROOT = Path(__file__).parents[2]
VERDICTS = {"data check", "preflight", "study all", "zoo"}  # commands whose answer may be no


def walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command; of a group of methods, each method."""
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    for each in command.list_commands(None):
        yield from walk(command.get_command(None, each), f"{name} {each}".strip())


EVERY = dict(walk(typer.main.get_command(app)))
FIRST = sorted({" ".join(name.split()[:1]) for name in EVERY})
# a line of each command that parses
PARSED = [line for _, _, line in installed.COMMANDS] + ["invert words text.npz -m open_clip:RN50/x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        installed.inputs()
    return folder


def test_each_command_is_here() -> None:
    assert len(EVERY) > 80
    for name in EVERY:
        group = name.rpartition(" ")[0]
        assert any(line.startswith((f"{name} ", f"{group} ")) for line in PARSED), name


@pytest.mark.parametrize("first", FIRST)
def test_0_and_2(first: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of each command, an option that it does not have, and an empty argument."""
    monkeypatch.chdir(folder)
    for name in EVERY:
        if name.split()[0] != first:
            continue
        words = name.split()
        code, out, err = run(*words, "--help")
        assert (code, err) == (0, ""), name
        assert out.startswith("Usage: "), name
        code, out, err = run(*words, "--no-such-option")
        assert (code, out) == (2, ""), name
        assert "--no-such-option" in err, name
        code, out, err = run(*words, "")
        assert (code, out, err.count("\n")) == (2, "", 1), name
        assert err.startswith("modalgap: "), name


@pytest.mark.parametrize("line", PARSED)
def test_signals_and_errors(
    line: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command raises, to its exit code; nothing of the command runs."""
    monkeypatch.chdir(folder)
    raised: BaseException | None = None

    def stop(*_: object) -> None:
        if raised is None:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            raise raised

    command = next(each for each in typer.core.TyperCommand.__mro__ if "invoke" in vars(each))
    monkeypatch.setattr(command, "invoke", stop)
    before = signal.getsignal(signal.SIGTERM)
    try:
        for raised, code, said in (
            (KeyboardInterrupt(), 130, ""),
            (None, 143, ""),
            (OutputError("x.npz: exists"), 2, "modalgap: x.npz: exists\n"),
            (PermissionError(13, "Permission denied", "x"), 2, "modalgap: x: Permission denied\n"),
            (MemoryError(), 2, "modalgap: not enough memory"),
            (typer.Exit(1), 1, ""),
        ):
            found, out, err = run(*line.split())
            assert (found, out) == (code, ""), (line, raised)
            assert err.startswith(said), line
            assert err.count("\n") == bool(said), line
    finally:
        signal.signal(signal.SIGTERM, before)


def test_1_is_an_answer(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that may answer no are those of the page, and no others."""
    monkeypatch.chdir(folder)
    source = Path(modalgap.__file__).parent / "cli"
    with_1 = [path.stem for path in source.glob("*.py") if "Exit(1)" in path.read_text("utf-8")]
    assert sorted(with_1) == ["advise", "data_command", "study", "zoo"]
    table = codes()
    for name in VERDICTS:
        assert f"`{name}" in table["1"], name
    assert run("data", "check", "mnist")[0] == 1
    given = ("preflight", "pair.npz", "--only", "retrieval")
    assert run(*given)[0] == 0
    Path("low.json").write_text('{"hubness": {"warn": -100, "fail": -100}}')
    code, out, err = run(*given, "--thresholds", "low.json", "--fail-on", "fail")
    assert (code, "checks: fail" in out) == (1, True), err


def codes() -> dict[str, str]:
    """Code to its meaning, of the page."""
    text = (ROOT / "docs" / "json.md").read_text("utf-8").partition("## Exit codes")[2]
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.M)
    assert rows
    return dict(rows)


def test_the_page_lists_every_code() -> None:
    assert list(codes()) == ["0", "1", "2", str(BUG), "130", "143"]


def test_an_error_of_our_own_is_not_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise LookupError("a mistake")

    monkeypatch.setattr("modalgap.cli.main", fail)
    monkeypatch.setattr("modalgap.__main__.guard", lambda: None)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == BUG
    assert "LookupError: a mistake" in capsys.readouterr().err

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modalgap.__main__.guard", interrupt)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 130


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_process(kind: signal.Signals, code: int, folder: Path) -> None:
    """A command that waits while it reads its input."""
    script = (
        "import sys, time, modalgap.cli.data as data\n"
        "def wait(*_):\n    print('waiting', flush=True)\n    time.sleep(3600)\n"
        "data.read = wait\n"
        "sys.argv = ['modalgap', 'measure', 'pair.npz']\n"
        "from modalgap.__main__ import main\nmain()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(kind)
    out, err = child.communicate()
    assert (child.returncode, out, err) == (code, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors of POSIX")
def test_closed_streams() -> None:
    """What was printed is lost, which is an error; no file gets the number of a closed stream."""
    script = (
        "import os, sys\n"
        "from modalgap import __main__ as main\n"
        "main.guard = lambda: os.write(2, b'%d\\n' % os.open('.', os.O_RDONLY))\n"
        "sys.argv = ['modalgap', '--version']\nmain.main()\n"
    )
    for closed, code, said in (
        (">&-", 2, "3\nmodalgap: stdout: cannot be written (closed by the caller)\n"),
        ("<&- >&-", 2, "3\nmodalgap: stdout: cannot be written (closed by the caller)\n"),
        ("2>&-", 0, ""),
    ):
        command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr) == (code, said), closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux that is always full")
@pytest.mark.parametrize("flags", ["", "-u"])
def test_a_full_disk_behind_stdout(flags: str) -> None:
    command = ["sh", "-c", f'"$0" {flags} -m modalgap --version >/dev/full', sys.executable]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "modalgap: stdout: No space left on device\n"
