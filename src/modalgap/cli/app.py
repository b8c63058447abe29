"""The application: its commands, its version, and how it reports errors."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from traceback import walk_tb
from typing import Annotated

import typer

from modalgap import __version__
from modalgap.cli import close, data, data_command, invert, simulate, study
from modalgap.cli.advise import compare, preflight
from modalgap.cli.build import MEASURES, PROTOCOLS, TASKS, with_entries, with_options
from modalgap.cli.convert import convert
from modalgap.cli.demo import demo
from modalgap.cli.encode import encode
from modalgap.cli.evaluate import evaluate
from modalgap.cli.explain import explain
from modalgap.cli.explore import explore
from modalgap.cli.group import group
from modalgap.cli.listing import listing
from modalgap.cli.measure import measure
from modalgap.cli.plan import plan
from modalgap.cli.report import report
from modalgap.cli.search import search
from modalgap.cli.train import train
from modalgap.cli.zoo import zoo
from modalgap.errors import ModalgapError, OptionError
from modalgap.waiting import wait_passively

NO_MEMORY = (
    "not enough memory for this; use fewer rows, a smaller batch, or a smaller --set max_rows="
)
OUT_OF_MEMORY = (  # of torch's RuntimeErrors
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Storage size calculation overflowed",
)

app = group(
    "modalgap",
    "Measure, explain and close the modality gap of CLIP-like embeddings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(encode)
app.command()(zoo)
app.command(cls=with_options(MEASURES))(measure)
app.command(cls=with_options(MEASURES))(report)
app.command()(explore)
app.command(cls=with_options(TASKS))(evaluate)
app.command(cls=with_entries("Protocols", PROTOCOLS))(search)
app.command()(train)
app.command(cls=with_options(TASKS))(preflight)
app.command(cls=with_options(TASKS))(compare)
app.command()(plan)
app.command()(convert)
app.command("list")(listing)
app.command()(explain)
app.command()(demo)
app.add_typer(close.app)
app.add_typer(invert.app)
app.add_typer(data_command.app)
app.add_typer(simulate.app)
app.add_typer(study.app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"modalgap {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure, explain and close the modality gap of CLIP-like embeddings."""


class _Closed(io.TextIOBase):
    """A stdout that the caller closed: a result that is lost is an error, as on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, "cannot be written (closed by the caller)", "stdout")


def main() -> None:
    """Run the command line. Errors of the user are one line on stderr, with exit code 2.

    Typer itself exits with 130 on Ctrl-C, and with 1, without a message, if the reader of a pipe
    closes it. docs/json.md lists the exit codes.
    """
    wait_passively()
    # SIGTERM unwinds, so that files half written are removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:  # messages may be lost
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in ("stdout", "stderr"):
        reconfigure = getattr(getattr(sys, stream), "reconfigure", None)
        if reconfigure is not None:  # a terminal without our letters shows "?" in their place
            reconfigure(errors="replace")
    try:
        _check_empty(sys.argv[1:])
        app()
    except ModalgapError as error:
        _leave(str(error), 2)
    except MemoryError:
        _leave(NO_MEMORY, 2)
    except RuntimeError as error:
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        _leave(NO_MEMORY, 2)
    except OSError as error:
        where = error.filename or ("stdout" if _of_stdout(error) else "input or output")
        _leave(f"{where}: {error.strerror or error}", 2)


def _of_stdout(error: OSError) -> bool:
    """Whether stdout cannot be written: what is buffered stays, or these libraries print."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    if names and names[-1].startswith(("typer.", "rich.")):
        return True
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _check_empty(arguments: Sequence[str]) -> None:
    """Refuse empty arguments: an empty path would be the current folder."""
    for before, each in pairwise(["", *arguments]):
        if not each or (each.startswith("-") and each.endswith("=")):
            where = each or (before if before.startswith("-") else "")
            raise OptionError(
                f"{where.rstrip('=') or 'an argument'} must not be empty; is a variable of the"
                " shell not set?"
            )


def _leave(message: str, code: int) -> None:
    data.note(message)
    sys.exit(code)
