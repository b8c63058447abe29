"""Columns of a table as factors: attributes of each image or text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modalgap.data.columns import Columns
from modalgap.errors import FileError, quoted

FEW = 100  # maximum number of distinct values of a column that "auto" selects


def factors_of(
    table: Mapping[str, Sequence[Any]], columns: Columns, used: Iterable[str | None] = ()
) -> tuple[dict[str, list[str] | list[int]], tuple[str, ...]]:
    """The columns that become factors, and the names of those that do not.

    Args:
        table: maps a name to one value per row; lists, mappings and bytes cannot be factors.
        columns: the selected columns.
        used: columns that are already read as images, captions or labels.

    Returns:
        Name to one integer or one string per row, and the unused columns. An empty cell (None,
        NaN) is the string "".

    Raises:
        FileError: a selected column does not exist, or its values cannot be a factor.
    """
    taken = set(used)
    rest = [name for name in table if name not in taken]
    if columns.auto:
        chosen = [name for name in rest if _few(table[name])]
    else:
        chosen = list(columns.factors)
        for name in chosen:
            if name not in table:
                known = ", ".join(table) or "none"
                raise FileError(f"--factors: has no column {quoted(name)}; it has {known[:300]}")
            if not all(map(_plain, table[name])):
                raise FileError(f"--factors: column {quoted(name)} must hold strings or numbers")
    found = {name: _column(table[name]) for name in chosen}
    return found, tuple(name for name in rest if name not in found)


def _few(values: Sequence[Any]) -> bool:
    """Whether values repeat: 2 to ``FEW`` distinct values, and at most half as many as rows."""
    if not all(map(_plain, values)):
        return False
    most = min(FEW, len(values) // 2)
    return 2 <= len(set(map(_cell, values))) <= most


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | np.generic)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _cell(value: Any) -> str:
    if _missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _column(values: Sequence[Any]) -> list[str] | list[int]:
    whole = (int, np.integer)
    if all(isinstance(v, whole) and not isinstance(v, bool | np.bool_) for v in values):
        return [int(value) for value in values]
    return [_cell(value) for value in values]
