"""How idle threads wait: set before torch is imported, in every process, never over the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest
from trained import config

from modalgap.waiting import SETTINGS, passive_children, wait_passively
from modalgap.work import Pool


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No policy in the environment."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def policies() -> dict[str, str]:
    return {name: os.environ[name] for name in SETTINGS if name in os.environ}


def test_before_torch_the_policy_is_set(unset: pytest.MonkeyPatch) -> None:
    unset.delitem(sys.modules, "torch", raising=False)
    assert wait_passively()
    assert policies() == {"OMP_WAIT_POLICY": "passive"}
    assert wait_passively()  # a second call finds it set


def test_after_torch_it_is_too_late(unset: pytest.MonkeyPatch) -> None:
    unset.setitem(sys.modules, "torch", types.ModuleType("torch"))
    with pytest.warns(RuntimeWarning, match="before torch is imported"):
        assert not wait_passively()
    assert policies() == {}


@pytest.mark.parametrize(
    ("name", "value", "passive"),
    [
        ("OMP_WAIT_POLICY", "active", False),
        ("OMP_WAIT_POLICY", "PASSIVE", True),
        ("GOMP_SPINCOUNT", "1000", False),
        ("KMP_BLOCKTIME", "200", False),
    ],
)
@pytest.mark.parametrize("imported", [False, True])
def test_the_users_own_setting_stays(
    unset: pytest.MonkeyPatch, name: str, value: str, passive: bool, imported: bool
) -> None:
    unset.setenv(name, value)
    if imported:
        unset.setitem(sys.modules, "torch", types.ModuleType("torch"))
    else:
        unset.delitem(sys.modules, "torch", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wait_passively() is passive
    with passive_children():
        assert policies() == {name: value}
    assert policies() == {name: value}


def test_children_inherit_it_and_this_process_stays_as_it_is(unset: pytest.MonkeyPatch) -> None:
    with passive_children():
        assert policies() == {"OMP_WAIT_POLICY": "passive"}
    assert policies() == {}
    with pytest.raises(KeyError), passive_children():
        raise KeyError
    assert policies() == {}


# every process of the package ----------------------------------------------------------------

STOP = """
import os, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Stop())
"""


@pytest.mark.parametrize(
    "start",
    [
        "import runpy; runpy.run_module('modalgap', alter_sys=True, run_name='__main__')",
        "from modalgap.__main__ import main; main()",
    ],
)
@pytest.mark.parametrize(
    ("own", "seen"),
    [({}, "passive None"), ({"OMP_WAIT_POLICY": "active"}, "active None"),
     ({"GOMP_SPINCOUNT": "7"}, "None 7")],
)  # fmt: skip
def test_the_command_line_sets_it_before_torch(
    unset: pytest.MonkeyPatch, tmp_path: Path, start: str, own: dict[str, str], seen: str
) -> None:
    code = f"{STOP}\nsys.argv = ['modalgap', 'measure', {str(tmp_path / 'a.npy')!r}]\n{start}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **own}
    )
    assert done.stdout.strip() == seen, done.stderr


@pytest.mark.parametrize(("fresh", "seen"), [(True, "passive"), (False, None)])
def test_worker_processes(unset: pytest.MonkeyPatch, fresh: bool, seen: str | None) -> None:
    # a fork has the threads of this process, so its policy too
    with Pool(1, os.getpid, (), "died", fresh=fresh) as pool:
        assert pool.submit(os.getenv, "OMP_WAIT_POLICY").result() == seen
    assert policies() == {}


def test_processes_of_training(unset: pytest.MonkeyPatch) -> None:
    from modalgap.train import load_config, run

    seen: list[dict[str, str]] = []

    class Fabric:
        device = types.SimpleNamespace(type="cpu")

        def __init__(self, **_: Any) -> None: ...

        def launch(self) -> None:
            seen.append(policies())

    unset.setattr(run, "Fabric", Fabric)
    run._fabric(load_config(config()))
    assert seen == [{"OMP_WAIT_POLICY": "passive"}]
    assert policies() == {}
