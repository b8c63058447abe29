"""Checks of options that verbs share, and the draw of a sample."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from modalgap.errors import NotApplicable, OptionError, quoted

Each = TypeVar("Each")
Several: TypeAlias = Each | Sequence[Each]  # an option that accepts one value, or a list
LARGEST = 1e300  # larger numbers can overflow in later arithmetic


def finite(name: str, value: float) -> None:
    """Refuse an option that is not a finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= LARGEST:
        raise OptionError(f"{name} must be a finite number; got {quoted(value)}")


def sample(n: int, max_rows: int, seed: int) -> Tensor:
    """Indices, ascending, of at most ``max_rows`` of n rows, drawn without replacement."""
    if n <= max_rows:
        return torch.arange(n)
    chosen = np.random.default_rng(seed).choice(n, max_rows, replace=False)
    return torch.from_numpy(np.sort(chosen))


def at_least(name: str, value: float, low: float, high: float = LARGEST) -> None:
    """Refuse an option below ``low``, above ``high``, or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        above = numeric and LARGEST < value < math.inf
        most = f" and at most {high:g}" if high < LARGEST or above else ""
        kind = "number" if not isinstance(value, float) or math.isfinite(value) else "finite number"
        raise OptionError(f"{name} must be a {kind} of at least {low:g}{most}; got {quoted(value)}")


def whole(name: str, value: int, low: int, high: int = 2**63 - 1) -> None:
    """Refuse an option that is not an integer of at least ``low`` and at most ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        above = isinstance(value, int) and value > high
        most = f" and at most {high}" if high < 2**63 - 1 or above else ""
        raise OptionError(f"{name} must be an integer of at least {low}{most}; got {quoted(value)}")


def needs(condition: bool, reason: str) -> None:
    """Raise NotApplicable unless the data has what the measure needs."""
    if not condition:
        raise NotApplicable(reason)


def share(name: str, value: float) -> None:
    """Refuse an option that is not above 0 and up to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise OptionError(f"{name} must be a number above 0 and up to 1; got {quoted(value)}")


def one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse an option that is none of the names."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} must be one of {', '.join(known)}; got {quoted(value)}")


def several(name: str, values: object, *, least: int = 0) -> list[Any]:
    """The values of an option that accepts several; a single value becomes a list of one.

    Raises:
        OptionError: not a list, or fewer than ``least`` values.
    """
    found = _several(name, values)
    if len(found) < least:
        raise OptionError(f"{name} must have at least {least} value; got an empty list")
    return found


def _several(name: str, values: object) -> list[Any]:
    if isinstance(values, str | Path | int | float):
        return [values]
    if isinstance(values, np.ndarray | np.generic):
        values = values.tolist()
        return values if isinstance(values, list) else [values]
    if not isinstance(values, Sequence) or isinstance(values, bytes):
        raise OptionError(f"{name} must be a list; got {quoted(values)}")
    return [each.item() if isinstance(each, np.generic) else each for each in values]


def distinct(name: str, labels: Sequence[str]) -> None:
    """Refuse values whose labels in the result would be the same."""
    labels = ["0" if each == "-0" else each for each in labels]
    twice = next((each for each in labels if labels.count(each) > 1), None)
    if twice is not None:
        raise OptionError(f"{name} must be different values; got {twice} more than once")


def value_of(text: str) -> Any:
    """Parse the text of an option: a number, true, false, none, a list with commas, or a string."""
    if "," in text:
        return [value_of(each.strip()) for each in text.split(",") if each.strip()]
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def available_memory() -> int | None:
    """Bytes of memory that a program can use; None if the system does not tell."""
    try:
        with Path("/proc/meminfo").open() as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):  # not known on this system: no limit
        return None


def fits(names: str, wanted: float) -> None:
    """Refuse sizes whose work does not fit in memory.

    Args:
        names: the arguments that decide the size.
        wanted: bytes that the work needs, estimated.

    Raises:
        OptionError: it is more than the available memory.
    """
    available = available_memory()
    if available is not None and wanted > available:
        raise OptionError(
            f"{names}: must fit in the available memory of {available / 2**30:.1f} GiB;"
            f" these sizes need about {wanted / 2**30:,.1f} GiB"
        )
