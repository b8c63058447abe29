"""Functions that run in the processes of a zoo."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import functions

from modalgap.encode import FunctionEncoder
from modalgap.errors import OutputError
from modalgap.zoo import cell as cell_module
from modalgap.zoo import verb
from modalgap.zoo.cell import Record, Settings, compute
from modalgap.zoo.cells import Cell

QUICK = "quick:functions"
OPTIONS: dict[str, Any] = {"measures": ["l2m", "rmg"], "tasks": ["retrieval"], "workers": 0}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1}  # event: its paths
REFUSED = 3  # exit code for one plain error


def dies_on_second(cell: Cell, folder: Path, settings: Settings) -> Record:
    """Compute a cell; on data named "second" the process dies, as without memory."""
    if cell.label == "second":
        os._exit(137)
    return compute(cell, folder, settings)


def broken(spec: str, seed: int) -> FunctionEncoder:
    """An encoder of functions; the end of its name says what is wrong with it."""
    del seed
    if spec.endswith("exit"):
        sys.exit("bye")
    if spec.endswith("panic"):
        raise BaseException("panic")  # as the errors of Rust libraries
    found = functions.encoder(spec=spec, logit_scale=10.0)
    if spec.endswith("nan"):
        found.logit_scale = float("nan")
    return found


def breaks(cell: Cell, folder: Path, settings: Settings) -> Record:
    """Compute a cell; the name of its data says how the process ends."""
    endings = {"abort": signal.SIGABRT, "segfault": signal.SIGSEGV, "kill": signal.SIGKILL}
    if cell.label in endings:
        os.kill(os.getpid(), endings[cell.label])
    cell_module.load_model = broken
    return compute(cell, folder, settings)


def quick(data: Path, folder: Path, names: tuple[str, ...] = ("one", "two")) -> None:
    """Run a zoo of an encoder of functions in this process; end it after one plain error."""
    cell_module.load_model = broken
    found = [Cell(model=QUICK, data=str(data), name=name) for name in names]
    try:
        verb.run_cells(found, folder, isolated=False, **OPTIONS)
    except OutputError as error:
        print(error, file=sys.stderr)
        os._exit(REFUSED)


def again(data: Path, folder: Path) -> None:
    """Run ``quick`` without the results of an earlier run."""
    OPTIONS["overwrite"] = True
    quick(data, folder)


def limited(data: Path, folder: Path, size: int) -> None:
    """Run ``quick`` with one more cell; a file can have ``size`` bytes at most."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a file of messages would be limited too
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    quick(data, folder, ("one", "two", "three"))


def disturbed(data: Path, folder: Path, at: int, how: str, count: Any) -> None:
    """Run ``quick``; at the change number ``at`` of a file the process or the disk ends.

    Args:
        data: the data.
        folder: the folder of the zoo.
        at: number of the change, from 0.
        how: "kill", or "full": this change and all that follow fail.
        count: a shared number, the changes so far.
    """
    inside = str(folder)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            paths = [path] if isinstance(flags, int) and flags & WRITES else []
        else:
            paths = list(arguments[: CHANGES.get(event, 0)])
        if not any(isinstance(each, str | os.PathLike) and inside in str(each) for each in paths):
            return
        count.value += 1
        if count.value <= at:
            return
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if event in ("open", "os.mkdir", "os.rename"):  # a full disk lets files be removed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(watch)
    quick(data, folder)
