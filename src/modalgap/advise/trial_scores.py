"""The scores of one trial, and the part of unfinished work that stores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.evaluate.base import Floats, Interval
from modalgap.work import damaged, read_part, write_part


class TrialScores:
    """The scores of one candidate, by task, with their bootstrap draws."""

    def __init__(self) -> None:
        self.numbers: dict[str, tuple[float, Floats | None]] = {}
        self.intervals: dict[str, Interval] = {}
        self.better: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.gap: dict[str, float] = {}
        self.facts: dict[str, Any] = {}
        self.failed = ""

    def ending(self, start: str, end: str) -> TrialScores:
        """The numbers whose names start and end so, under their names without the end."""
        found = TrialScores()
        for name, number in self.numbers.items():
            if name.startswith(start) and name.endswith(end):
                short = name.removesuffix(end)
                found.numbers[short] = number
                found.intervals[short] = self.intervals[name]
                found.better[short] = self.better[name]
        found.gap, found.facts = self.gap, self.facts
        return found

    def write(self, path: Path) -> None:
        """Write the part of the trial."""
        draws = {name: draws for name, (_, draws) in self.numbers.items() if draws is not None}
        about = {
            "values": {name: value for name, (value, _) in self.numbers.items()},
            "intervals": self.intervals,
            "better": self.better,
            "skipped": self.skipped,
            "gap": self.gap,
            "facts": self.facts,
            "failed": self.failed,
        }
        write_part(path, draws, about)

    @classmethod
    def read(cls, path: Path) -> TrialScores:
        """Read the part that ``write`` wrote."""
        part = read_part(path)
        found = cls()
        try:
            values = part.about["values"].items()
            found.numbers = {name: (value, part.arrays.get(name)) for name, value in values}
            for name, between in part.about["intervals"].items():
                found.intervals[name] = None if between is None else tuple(between)
            for name in ("better", "skipped", "gap", "facts", "failed"):
                setattr(found, name, part.about[name])
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged(path) from error
        return found
