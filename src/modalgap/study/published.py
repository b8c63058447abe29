"""Results to compare with: a value with a tolerance, an order of two numbers, or a trend.

Each compares itself with a table; the verdict is "agrees", "differs: …" with the reason, or "not
computed".
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from modalgap.result import Table
from modalgap.verdicts import AGREES, DIFFERS, NOT_COMPUTED, PAPER, Against

Cell = tuple[str, str]  # row, column


@dataclass(frozen=True, kw_only=True)
class Published(ABC):
    """The base of all results to compare with; papers publish most of them.

    Attributes:
        claim: the result, as one sentence that is true or false.
        where: paper, and figure, table or section.
        against: "paper" for a number or statement of a paper; "closed form"; "reference" for an
            independent computation or an expectation of our own, which no paper states.
        published: the published numbers as text, or "" if only the direction is published.
        note: a remark, for instance why only the direction is compared.
        needs: the data or models without which it is not computed.
        why: the known reason for a difference.
    """

    claim: str
    where: str
    against: Against = PAPER
    published: str = ""
    note: str = ""
    needs: str = ""
    why: str = ""

    def verdict(self, table: Table) -> dict[str, str]:
        """The fields claim, where, against, published, ours, verdict and note, as text."""
        ours, verdict = self.judge(table)
        if verdict == NOT_COMPUTED:
            other = "this result is about other data"  # of a study that runs on files
            verdict = f"{NOT_COMPUTED}: {f'needs {self.needs}' if self.needs else other}"
        elif verdict.startswith(DIFFERS) and self.why:
            verdict = f"{verdict}; {self.why}"
        return {
            "claim": self.claim,
            "where": self.where,
            "against": self.against,
            "published": self.published or self.expected(table),
            "ours": ours,
            "verdict": verdict,
            "note": "" if verdict.startswith(NOT_COMPUTED) else self.note,
        }

    @abstractmethod
    def expected(self, table: Table) -> str:
        """The expected result as text, if ``published`` does not give it."""

    @abstractmethod
    def judge(self, table: Table) -> tuple[str, str]:
        """Our numbers as text, and the verdict."""


@dataclass(frozen=True, kw_only=True)
class Number(Published):
    """A value.

    Attributes:
        cell: row and column of our value.
        value: the published value, or row and column of another value, such as a closed form.
        tolerance: the largest difference for the verdict "agrees".
    """

    cell: Cell
    value: Cell | float
    tolerance: float

    def expected(self, table: Table) -> str:
        """The value with its tolerance."""
        value = _value(table, self.value)
        if value is None:
            return "–"
        text = f"{value:.{_places(self.tolerance)}f}" if value != self.value else f"{value:g}"
        return f"{text} ± {self.tolerance:g}"

    def judge(self, table: Table) -> tuple[str, str]:
        """Our value, and whether it is within the tolerance."""
        found, expected = _value(table, self.cell), _value(table, self.value)
        if found is None or expected is None:
            return "–", NOT_COMPUTED
        places = _places(self.tolerance)
        ours = f"{found:.{places}f}"
        apart = abs(found - expected)
        if apart <= self.tolerance:
            return ours, AGREES
        return ours, f"{DIFFERS}: by {apart:.{places}f}, tolerance {self.tolerance:g}"


@dataclass(frozen=True, kw_only=True)
class Order(Published):
    """One number is larger than another one, or than a constant.

    Attributes:
        larger, smaller: row and column, or a constant.
        margin: the smallest difference for the verdict "agrees".
    """

    larger: Cell | float
    smaller: Cell | float
    margin: float = 0.0

    def expected(self, table: Table) -> str:  # noqa: ARG002
        """The order in words."""
        return "the first is larger" + (f" by at least {self.margin:g}" if self.margin else "")

    def judge(self, table: Table) -> tuple[str, str]:
        """Both numbers, and whether the order holds."""
        large, small = (_value(table, each) for each in (self.larger, self.smaller))
        if large is None or small is None:
            return "–", NOT_COMPUTED
        ours = f"{large:.3f} against {small:.3f}"
        if large - small > self.margin or (self.margin and large - small == self.margin):
            return ours, AGREES
        return ours, f"{DIFFERS}: the difference is {large - small:+.3f}"


@dataclass(frozen=True, kw_only=True)
class Trend(Published):
    """A column falls or rises from row to row.

    Attributes:
        column: the column of the table.
        direction: "falls" or "rises".
        rows: the rows, in order; rows that the table does not have are skipped.
    """

    column: str
    direction: Literal["falls", "rises"]
    rows: Sequence[str]

    def expected(self, table: Table) -> str:  # noqa: ARG002
        """The direction."""
        return f"{self.direction} with each step"

    def judge(self, table: Table) -> tuple[str, str]:
        """Our numbers in order, and whether each step follows the trend."""
        there = [(row, _value(table, (row, self.column))) for row in self.rows]
        found = [(row, value) for row, value in there if value is not None]
        ours = " → ".join(f"{value:.3f}" for _, value in found) or "–"
        if len(found) < 2:
            return ours, NOT_COMPUTED
        sign = 1 if self.direction == "rises" else -1
        for (_, before), (row, after) in pairwise(found):
            if sign * (after - before) <= 0:
                return ours, f"{DIFFERS}: {before:.3f} to {after:.3f} at {row}"
        return ours, AGREES


def _places(tolerance: float) -> int:
    """Decimals that show a difference of the size of the tolerance."""
    return max(3, math.ceil(-math.log10(tolerance))) if tolerance > 0 else 6


def _value(table: Table, cell: Cell | float) -> float | None:
    if isinstance(cell, int | float):
        return float(cell)
    value = table.rows.get(cell[0], {}).get(cell[1])
    return None if value is None else value.value
