"""Traces: numbers that summarise a curve or a set of points, with the points in their details.

A table with one row per curve stays short, and a panel still draws every point.
"""

from __future__ import annotations

from collections.abc import Iterable

from modalgap.errors import InputError
from modalgap.result import Value


def traced(
    value: float,
    x: Iterable[float],
    y: Iterable[float],
    interval: tuple[float, float] | None = None,
) -> Value:
    """A number with the curve, or the points, that it summarises.

    Args:
        value: for instance the minimum of the curve, or its last value.
        x: first coordinates; stored in the details as a list.
        y: second coordinates, as many as ``x``.
        interval: the 95 % interval of the number.

    Raises:
        InputError: x and y differ in length.
    """
    xs, ys = [float(each) for each in x], [float(each) for each in y]
    if len(xs) != len(ys):
        raise InputError(f"x and y must have the same length; got {len(xs)} and {len(ys)}")
    return Value(float(value), interval, details={"x": xs, "y": ys})


def points(value: Value | None) -> tuple[list[float], list[float]]:
    """The x and y of a traced number; two empty lists for other numbers."""
    details = {} if value is None else value.details
    return list(details.get("x", ())), list(details.get("y", ()))
