"""Colours and labels of the rows and columns that a panel shows.

Categories have colours that differ. Numbers of one quantity, such as temperatures, have the colours
of a ramp, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import cycle
from os.path import commonprefix

from modalgap.report.draw.lines import Line
from modalgap.report.palette import ramp_names

FEW = ("ink", "matched", "ramp7")
MANY = ("ink", "matched", "ramp7", "ramp2", "unmatched", "ramp5")
MOST = ("ink", "image", "text", "matched", "ramp2", "unmatched", "ramp5", "ramp7", "muted")
OTHERS = ("matched", "unmatched", "image", "text")  # of the labels without a number
ORDERED = 3  # labels that end with a number, such as "τ = 0.1", from which on colours are ordered
NUMBERED = re.compile(r"(|.*= ?)(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
SIDES = {"_image": "image", "_text": "text"}  # columns of one modality have its colour
JOINS = " ,:"  # between the parts of the name of a row


def coloured(lines: Sequence[Line], columns: Sequence[str], dashed: str = "") -> list[Line]:
    """Lines with colours; a dashed line has that of the line named without the text ``dashed``."""
    if not columns and dashed:
        twins = {line.label: line.label.replace(dashed, "") for line in lines if line.dashed}
        single = [line for line in lines if line.label not in twins]
        if set(twins.values()) <= {line.label for line in single}:
            solid = {line.label: line for line in coloured(single, ())}
            return [
                replace(line, colour=solid[twins[line.label]].colour, named=False)
                if line.label in twins
                else solid[line.label]
                for line in lines
            ]
    found = colours([line.label for line in lines], columns)
    return [replace(line, colour=colour) for line, colour in zip(lines, found, strict=True)]


def short(rows: Iterable[str], match: str) -> dict[str, str]:
    """Row to label: without the text that the names of all rows of a panel share.

    Args:
        rows: names of rows, all with ``match``.
        match: text of the panel; omitted at the start or end of a name, if it is whole words there.
    """
    labels = {row: _without(row, match) for row in rows}
    first = commonprefix(list(labels.values())) if len(labels) > 1 else ""  # noqa: RUF071 - no paths
    shared = max(first.rfind(join) + len(join) if join in first else 0 for join in (", ", ": "))
    return {row: label[shared:] for row, label in labels.items()}


def _without(row: str, match: str) -> str:
    for rest, first, last in (
        (row.removeprefix(match), match[-1:], 0),
        (row.removesuffix(match), match[:1], -1),
    ):
        if rest and rest != row and (rest[last] in JOINS or first in JOINS):
            return rest.strip(JOINS) or row
    return row


def colours(labels: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """A colour for each label.

    Columns of one modality have its colour. Numbers of one quantity have the colours of the ramp:
    the larger, the stronger.
    """
    numbers = [NUMBERED.fullmatch(label) for label in labels]
    places = sorted({float(each[2]) for each in numbers if each}, reverse=True)
    if len(places) >= ORDERED and len({each[1] for each in numbers if each}) == 1:
        ramp = dict(zip(places, ramp_names(len(places)), strict=True))
        rest = cycle(OTHERS)
        return [ramp[float(each[2])] if each else next(rest) for each in numbers]
    columns = columns or [""] * len(labels)
    sides = [
        next((own for end, own in SIDES.items() if name.endswith(end)), "") for name in columns
    ]
    others = next((each for each in (FEW, MANY) if sides.count("") <= len(each)), MOST)
    free = iter(range(len(columns)))
    return [side or others[next(free) % len(others)] for side in sides]
