"""Columns of classes: read the label of each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.data.classes import readable
from modalgap.data.text import shown
from modalgap.errors import FileError


@dataclass(frozen=True)
class Labels:
    """The labels of some items.

    Attributes:
        classes: names of the classes.
        labels: (k,) the class of each item that has a label.
        kept: (k,) the positions of these items.
        missing: (position, reason) of the other items.
        notes: which classes were merged.
    """

    classes: list[str]
    labels: NDArray[np.int64]
    kept: NDArray[np.int64]
    missing: list[tuple[int, str]]
    notes: list[str]


def read_labels(values: Sequence[Any], names: Sequence[str] | None, what: str) -> Labels:
    """Read the labels in a column.

    Args:
        values: one per item: an integer, or a number without a fraction, below ``len(names)``;
            the name of a class; a negative number, None, NaN or "" for an item without a label.
        names: names of the classes; without them the values are the names, in alphabetical order.
        what: name of the column, for messages.

    Raises:
        FileError: a label has no class, or is neither an integer nor a name.
    """
    missing: list[tuple[int, str]] = []
    kept: list[int] = []
    found: list[Any] = []
    for row, value in enumerate(values):
        why = _no_label(value)
        if why:
            missing.append((row, why))
        else:
            kept.append(row)
            found.append(value)
    if names is None:
        named = [_word(value, what) for value in found]
        names = sorted(set(named))
        position = {name: i for i, name in enumerate(names)}
        numbers = [position[name] for name in named]
    else:
        numbers = [_number(value, names, what, row) for value, row in zip(found, kept, strict=True)]
    classes, moved, notes = _joined(names, what)
    labels = moved[np.asarray(numbers, np.int64)] if numbers else np.empty(0, np.int64)
    return Labels(classes, labels, np.asarray(kept, np.int64), missing, notes)


def words(names: Sequence[str]) -> list[str]:
    """Class names as words, or unchanged if two of them would become equal."""
    spaced = [readable(name) for name in names]
    return list(names) if len(set(spaced)) < len(set(names)) else spaced


def _no_label(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return "no label"
    if isinstance(value, int | float) and value < 0:
        return f"no label: it is {int(value) if float(value).is_integer() else value}"
    return ""


def _word(value: Any, what: str) -> str:
    if not isinstance(value, str):
        found = type(value).__name__
        raise FileError(f"{what}: holds {found} without class names; --factors keeps it as numbers")
    return value.strip()


def _number(value: Any, names: Sequence[str], what: str, row: int) -> int:
    if isinstance(value, str):
        if value in names:
            return list(names).index(value)
        try:
            value = int(value)
        except ValueError:
            known = f"none of the {len(names)} class names"
            raise FileError(f"{what}: row {row} holds {shown(value)!r}, {known}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FileError(f"{what}: labels must be integers; row {row} has {type(value).__name__}")
    if not float(value).is_integer():
        raise FileError(f"{what}: labels must be integers; row {row} has {value}")
    if value >= len(names):
        raise FileError(
            f"{what}: row {row} holds label {int(value)}; there are {len(names)} class names"
        )
    return int(value)


def _joined(names: Sequence[str], what: str) -> tuple[list[str], NDArray[np.int64], list[str]]:
    """Merge classes of the same name; return the names and the new number of each class."""
    number: dict[str, int] = {}
    moved = [number.setdefault(name, len(number)) for name in names]
    twice = [name for name, count in Counter(names).items() if count > 1]
    notes = []
    if twice:
        shared = ", ".join(repr(shown(name, 40)) for name in twice[:3])
        more = ", ..." if len(twice) > 3 else ""
        notes.append(f"{what}: classes of the same name were merged ({shared}{more})")
    return list(number), np.asarray(moved, np.int64), notes


def plain(values: Sequence[Any]) -> list[Any]:
    """Classes in a text table: numbers as integers; None for empty cells and -1."""
    return [_plain(value) for value in values]


def numbers(values: Sequence[Any]) -> bool:
    """Whether all classes are numbers; False if there are none."""
    found = [value for value in plain(values) if value is not None]
    return bool(found) and all(isinstance(value, int) for value in found)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        value = value.strip()
        value = int(value) if value.lstrip("-").isdecimal() and value.isascii() else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    missing = value is None or value == "" or (isinstance(value, float) and value != value)
    return None if missing or (isinstance(value, int) and value < 0) else value
