"""Runs of the simulation ``dynamics`` as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modalgap.progress import progress
from modalgap.result import Value
from modalgap.simulate import dynamics
from modalgap.simulate.dynamics import QUANTITIES
from modalgap.trace import points


def dynamics_rows(
    runs: Mapping[str, Mapping[str, Any]], **shared: Any
) -> dict[str, dict[str, Value]]:
    """One row per run: each quantity at the end, with its trace, and at the start (NAME_start).

    Args:
        runs: name of the row to options of ``dynamics``.
        **shared: options of all runs; those of a run take precedence.
    """
    rows = {}
    with progress("simulating", len(runs)) as advance:
        for run, options in runs.items():
            titled = dynamics(**{**shared, **options}).rows
            found = {name: titled[title] for name, title in QUANTITIES.items() if title in titled}
            rows[run] = {
                **{quantity: values["end"] for quantity, values in found.items()},
                **{f"{quantity}_start": values["start"] for quantity, values in found.items()},
            }
            advance(1)
    return rows


def reached(value: Value, share: float) -> float | None:
    """The time when a traced number is first below this share of its start; None if never."""
    x, y = points(value)
    return next((at for at, each in zip(x, y, strict=True) if each < share * y[0]), None)
