"""Every install works: a command runs, or says in one line which extra it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import installed
import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from patience import in_full

import modalgap
from modalgap import errors, extras

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
TOP: dict[str, list[str]] = {
    name: [canonicalize_name(each) for each in found]
    for name, found in importlib.metadata.packages_distributions().items()
}


def brought(extra: str) -> set[str]:
    """The extras that one brings, itself included."""
    found = {extra}
    for line in EXTRAS[extra]:
        if (inner := Requirement(line)).name == PROJECT["name"]:
            found |= {each for name in inner.extras for each in brought(name)}
    return found


def closure(lines: Iterable[str]) -> set[str]:
    """The distributions that requirements bring, as far as they are installed here."""
    found: set[str] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        each, extra = waiting.pop()
        if each.marker is not None and not each.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(each.name)
        for inside in ("", *each.extras):
            if f"{name}[{inside}]" in found or name == PROJECT["name"]:
                continue
            found.add(f"{name}[{inside}]")
            try:
                inner = importlib.metadata.requires(name) or []
            except importlib.metadata.PackageNotFoundError:
                break
            waiting += [(Requirement(line), inside) for line in inner]
    return {each.partition("[")[0] for each in found}


def hidden(names: Iterable[str]) -> set[str]:
    """Modules that an environment with these extras does not have."""
    lines = [*PROJECT["dependencies"], *(line for name in names for line in EXTRAS[name])]
    there = closure(lines) | {PROJECT["name"]}
    return {top for top, found in TOP.items() if not there & set(found)}


def check(
    python: Path | str, folder: Path, names: Iterable[str], hide: Iterable[str], **environment: str
) -> list[str]:
    """Run all commands in an interpreter; those that ran."""
    done = subprocess.run(
        [python, ROOT / "tests" / "installed.py", folder, ",".join(names), json.dumps([*hide])],
        capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["wrong"], found["wrong"]
    ran: list[str] = found["ran"]
    return ran


def test_what_is_hidden() -> None:
    """The test of hiding can fail: an extra hides nothing of its own, the bare package all."""
    bare = hidden(())
    assert {"yaml", "open_clip", "faiss", "onnx", "ot", "cv2", "lightning_fabric"} <= bare
    assert not bare & {"torch", "numpy", "scipy", "sklearn", "typer", "matplotlib", "pyarrow"}
    assert {"yaml", "open_clip", "cv2", "tensorboard"}.isdisjoint(hidden(("train", "models")))
    assert hidden(brought("all")) >= {"pytest", "mypy"}


# what training brings hides little, and is tried in a real environment below
HIDDEN = ["", *(each for each in EXTRAS if "train" not in brought(each))]


@pytest.mark.parametrize(
    "extra",
    [pytest.param(each, marks=() if each in ("", "models") else in_full) for each in HIDDEN],
)
def test_modules_hidden(extra: str, tmp_path: Path) -> None:
    names = brought(extra) if extra else set()
    ran = check(sys.executable, tmp_path, names, hidden(names))
    assert any(line.startswith("demo") for line in ran)
    assert extra or len(ran) > 30


def test_each_command_is_run() -> None:
    from modalgap.cli.app import app

    def walk(command: object, name: str) -> Iterable[str]:
        inner = getattr(command, "commands", None)
        if not inner:  # a command, or a group of methods
            yield name
        for key, each in (inner or {}).items():
            yield from walk(each, f"{name} {key}".strip())

    lines = [line for _, _, line in installed.COMMANDS]
    for name in walk(typer.main.get_command(app), ""):
        if name not in installed.LEFT_OUT:
            assert any(line.startswith(f"{name} ") for line in lines), name
    assert {extra for extra, _, _ in installed.COMMANDS} - {None} <= set(EXTRAS)


def test_optional_modules_are_imported_in_one_way() -> None:
    """At the top of a module only what each install has, or a module that ``library`` loads."""
    optional = hidden(())
    loaded = set()
    importing: dict[str, set[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        text = path.read_text()
        loaded |= set(re.findall(r'library\("(modalgap[\w.]+)"', text))
        for node in ast.walk(ast.parse(text)):
            named = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                named = [node.module or ""]
            for each in named:
                importing.setdefault(name, set()).add(each)
    from modalgap.encode.registry import ENCODERS

    loaded |= {f"modalgap.encode.{each.module}" for each in ENCODERS.values()}
    heavy = {
        name
        for name, found in importing.items()
        if any(each.partition(".")[0] in optional for each in found)
    }
    grown = True
    while grown:  # modules that import such modules
        more = {name for name, found in importing.items() if found & heavy and name not in loaded}
        grown = not more <= heavy
        heavy |= more
    assert not heavy & {"modalgap.cli.app", "modalgap.study.base", "modalgap.train.verb"}, heavy
    assert len(heavy) > 5


def test_errors_of_missing_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(errors.InputError) as found:
        extras.import_extra("no_such_module.inner", "train", "this")
    assert str(found.value) == "this needs no_such_module: pip install 'modalgap[train]'"
    with pytest.raises(errors.NotApplicable):
        extras.import_extra("no_such_module", "search", "this", errors.NotApplicable)
    with pytest.raises(errors.InputError, match=r"^this needs other_module: pip install"):
        extras.require("train", "this", "json", "other_module")
    (tmp_path / "broken_module.py").write_text("raise ImportError('libGL.so.1: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.InputError, match=r"\[train\]' \(libGL.so.1: no such file\)$"):
        extras.import_extra("broken_module", "train", "this")
    with pytest.raises(ModuleNotFoundError):  # a fault of the package itself
        extras.import_extra("modalgap.no_such_module", "train", "this")


UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each environment is made after another, so that they share byte code."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source distribution, and the wheel built from it."""
    if not Path(UV).is_file():
        pytest.skip("needs uv, as make installs it")
    folder = tmp_path_factory.mktemp("dist")
    # without isolation: the build needs what make installed, and no network
    subprocess.run(
        [UV, "build", "--quiet", "--no-build-isolation", "--out-dir", folder, ROOT],
        check=True, timeout=900, env={**os.environ, "VIRTUAL_ENV": str(Path(sys.prefix))},
    )  # fmt: skip
    return {each.suffix: each for each in folder.iterdir() if each.suffix in (".whl", ".gz")}


def test_what_is_built(built: dict[str, Path]) -> None:
    """The wheel holds every file of the package and nothing else; both have the version."""
    package = ROOT / "src" / "modalgap"
    kept = {
        f"modalgap/{each.relative_to(package)}"
        for each in package.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    with zipfile.ZipFile(built[".whl"]) as wheel:
        inside = {each for each in wheel.namelist() if ".dist-info/" not in each}
    assert inside == kept
    assert "modalgap/py.typed" in inside
    assert {each.name.split("-")[1].removesuffix(".tar.gz") for each in built.values()} == {
        modalgap.__version__
    }
    with tarfile.open(built[".gz"]) as source:
        tops = {each.partition("/")[2].partition("/")[0] for each in source.getnames()}
    assert {"src", "tests", "docs", "examples", "bench", "reliability", "LICENSE"} <= tops


def test_what_is_built_passes_the_checks_of_the_index(built: dict[str, Path]) -> None:
    pytest.importorskip("twine")
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *built.values()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_all_is_all() -> None:
    """What the development environment has, in which all other tests run."""
    assert brought("all") == set(EXTRAS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "extra", ["", *(pytest.param(each, marks=in_full) for each in EXTRAS if each != "all")]
)
def test_a_real_environment(
    extra: str, tmp_path: Path, place: Path, built: dict[str, Path]
) -> None:
    """The wheel alone, with one extra, does what the README shows."""
    home = place / "environment"
    what = f"{built['.whl']}[{extra}]" if extra else str(built[".whl"])
    for arguments in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, home],
        ["pip", "install", "--quiet", "-c", ROOT / "requirements.lock", what],
    ):
        subprocess.run([UV, *map(str, arguments)], check=True, timeout=900,
                       env={**os.environ, "VIRTUAL_ENV": str(home)})  # fmt: skip
    environment = {"PYTHONPATH": "", "PYTHONPYCACHEPREFIX": str(place / "cache")}
    environment["PYTHONDONTWRITEBYTECODE"] = ""
    names = brought(extra) if extra else set()
    ran = check(home / "bin" / "python", tmp_path, names, (), **environment)
    assert any(line.startswith("demo") for line in ran)
    assert len(ran) > 5
    shutil.rmtree(home)
