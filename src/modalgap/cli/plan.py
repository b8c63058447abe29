"""modalgap plan."""

from __future__ import annotations

from typing import Annotated

import typer

from modalgap.cli import data, options
from modalgap.cli.build import spread
from modalgap.cli.inputs import Inputs
from modalgap.errors import OptionError, quoted

WHAT = {"close": "close (fit and apply center)", "evaluate": "evaluate (exact ranks)"}
UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
TIMES = (("years", 31_557_600.0), ("days", 86_400.0), ("h", 3_600.0), ("min", 60.0))


@spread
def plan(
    inputs: Inputs,
    verb: Annotated[
        str,
        typer.Option(
            "--verb",
            help="Command to estimate: measure, close (fit and apply center) or evaluate (exact"
            " ranks).",
        ),
    ] = "measure",
    only: options.Measures = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            help="Numbers of items, comma-separated (default: that of INPUT, and 1e6 to 1e10 in"
            " powers of ten).",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        str, typer.Option("--workers", help="Numbers of workers, comma-separated.")
    ] = "1,8,64,512",
    bandwidth: Annotated[
        float | None,
        typer.Option(
            "--bandwidth",
            help="GB per second that all workers together can read and write (default: no limit;"
            " each worker reads as fast as measured here).",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, options.json("plan/1")] = False,
) -> None:
    """Estimate time, bytes and memory of a command at other sizes, from a sample of the data.

    INPUT must have at least 4,000 items. A worker of the plan is as fast as this process, with the
    same number of cores. No output is written.
    """
    from modalgap.advise.plan import SIZES
    from modalgap.advise.plan import plan as run

    counts = _counts("--workers", workers)
    sizes = None if rows is None else _counts("--rows", rows)
    if bandwidth is not None and not bandwidth >= 1e-9:
        raise OptionError(f"--bandwidth must be at least 1e-9; got {bandwidth:g}")
    found = inputs.read()
    names = data.names(only)
    cost = run(found, verb, **({} if names is None else {"only": names}))
    own = found.sides[0].n
    sizes = sizes or sorted({own, *SIZES})
    limit = None if bandwidth is None else bandwidth * 1e9
    if json:
        lines = [
            {
                "items": n,
                "bytes_read": n * cost.read,
                "bytes_written": n * cost.written,
                "seconds": {str(k): cost.seconds(n, k, limit) for k in counts},
            }
            for n in sizes
        ]
        data.print_json("plan/1", {"verb": verb, "cost": cost.to_dict(), "plan": lines})
        return
    heads = ["items", "read", *(["written"] if cost.written else [])]
    heads += [f"{k:,} worker{'s' if k > 1 else ''}" for k in counts]
    table = [
        [
            f"{n:,}",
            size(n * cost.read),
            *([size(n * cost.written)] if cost.written else []),
            *(duration(cost.seconds(n, k, limit)) for k in counts),
        ]
        for n in sizes
    ]
    widths = [max(map(len, column)) for column in zip(heads, *table, strict=True)]
    for line in (heads, *table):
        typer.echo("   ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    what = WHAT.get(verb, verb)
    data.note(
        f"{what}: estimated from {cost.sample:,} items on this machine; without the start"
        " of the workers"
    )
    if cost.memory:
        data.note(f"memory of each worker: about {size(cost.memory)}, whatever the number of items")


def _counts(option: str, text: str) -> list[int]:
    """Whole numbers of at least 1, such as 1e6 or 1000000."""
    found = []
    for each in text.split(","):
        try:
            value = float(each)
        except ValueError:
            value = 0.0
        if not (1 <= value <= 1e15 and value == int(value)):
            raise OptionError(f"{option} must be whole numbers of at least 1; got {quoted(each)}")
        found.append(int(value))
    return found


def size(count: float) -> str:
    """Bytes with a unit, such as 1.5 GB."""
    unit, factor = next((each for each in UNITS if count >= each[1]), ("B", 1.0))
    return f"{count / factor:.3g} {unit}"


def duration(seconds: float) -> str:
    """Seconds in a readable unit, such as 4.7 h."""
    unit, factor = next((each for each in TIMES if seconds >= 2 * each[1]), ("s", 1.0))
    value = seconds / factor
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"
