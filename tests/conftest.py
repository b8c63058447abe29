"""Fixtures for all tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from modalgap.waiting import wait_passively

# One thread per test process: the matrices are small, and the processes share the processors.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
wait_passively()  # before torch is imported

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from commands import Run  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from patience import LIMIT  # noqa: E402

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"

settings.register_profile(
    "modalgap",
    deadline=None,  # two shared cores
    derandomize=True,  # a failure belongs to a change, not to the day
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("modalgap")


def find_shared(name: str, folder: Path = SHARED, *, ci: bool | None = None) -> Path:
    """The path of a shared data file; without it a skip, or a failure where CI runs."""
    path = folder / name
    if path.exists():
        return path
    ci = os.environ.get("CI", "").lower() == "true" if ci is None else ci
    reason = f"needs shared/data/{name} beside the repository"
    if ci:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of Ray come first: at the end, one process would run them and the others wait."""
    items.sort(key=lambda item: not item.path.name.startswith("test_ray"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """shared_data(name): a file of ../shared/data."""
    return find_shared


@pytest.fixture(scope="session")
def coco() -> NDArray[np.float32]:
    """(2, 500, 512): CLIP ViT-B/16, images and texts of 500 COCO pairs."""
    return np.asarray(np.load(find_shared("clip_coco500.npy")))


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder made by the first test process that asks for it, for all of them."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / f"{name}-for-all" / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder.parent / "made").exists():
            folder.parent.mkdir(exist_ok=True)
            make(folder)
            (folder.parent / "made").touch()
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``modalgap demo`` leaves: a real run."""

    def make(folder: Path) -> None:
        free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        done = subprocess.run(
            [sys.executable, "-m", "modalgap", "demo", "-o", str(folder)],
            capture_output=True,
            text=True,
            env=free,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (folder / "stdout.txt").write_text(done.stdout)

    return once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files of a few steps on few digits: for tests that need some models and pairs."""
    from modalgap.study import demo

    settings = {"steps": 20, "batch": 64, "data.limit": 300}
    return once(tmp_path_factory, "small", lambda folder: demo(folder, train=settings, jobs=1))


TRAINED = ("calibrate_scores",)  # examples that need a model of many steps: test_demo runs them


def beside(demo: Path, folder: Path) -> Path:
    """``folder`` with a demo in it, as after ``make demo``."""
    (folder / "demo").mkdir()
    for path in demo.glob("*.safetensors"):
        (folder / "demo" / path.name).symlink_to(path)
    (folder / "demo" / "runs").symlink_to(demo / "runs")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("measure", path): exit code, stdout, stderr."""
    from modalgap.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["modalgap", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
