"""Comparison: the result of ``compare``, and its text and JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from modalgap.arguments import checked
from modalgap.modality import plural, several
from modalgap.result import Answer, Value, reading

BASE = "none"


@dataclass(frozen=True)
class Entry:
    """A candidate and its scores.

    Attributes:
        name: name of the candidate, such as "center".
        transductive: whether it has seen the evaluated rows.
        gap: measures of the remaining gap: l2m, rmg, matched_cosine.
        values: maps "task.number" to its value on the evaluated rows.
        differences: maps "task.number" to the paired difference to no closing, with interval.
        better: maps "task.number" to the better direction: "higher", "lower" or "neither".
        skipped: maps a task to the reason why it does not apply.
        facts: statistics of the fit.
    """

    name: str
    transductive: bool
    gap: Mapping[str, float]
    values: Mapping[str, Value]
    differences: Mapping[str, Value]
    better: Mapping[str, str]
    skipped: Mapping[str, str]
    facts: Mapping[str, Any]

    def verdict(self, number: str) -> str:
        """Whether it is "better", "worse" or the "same" as no closing, by the paired interval."""
        value = self.differences.get(number)
        direction = self.better.get(number)
        if value is None or value.interval is None or direction not in ("higher", "lower"):
            return "same"
        low, high = value.interval
        if low <= 0 <= high:
            return "same"
        return "better" if (low > 0) == (direction == "higher") else "worse"


@checked
@dataclass(frozen=True)
class Comparison(Answer):
    """Closers by tasks, fitted on one part of the images and evaluated on the other.

    Attributes:
        entries: maps a candidate to its entry; "none" is first.
        columns: the numbers of the leaderboard, "task.number".
        failed: candidates that could not be fitted, with the reason.
        curves: "shift" and "project": scores for each fraction of closing.
        split: seed, fit_fraction, and the number of images to fit on and to evaluate.
        pair: facts of the input.
        versions: versions of modalgap and of the libraries that compute.
    """

    schema: ClassVar[str] = "comparison/1"
    entries: Mapping[str, Entry]
    columns: tuple[str, ...]
    failed: Mapping[str, str]
    curves: Mapping[str, list[dict[str, Any]]]
    split: Mapping[str, Any]
    pair: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def sizes(self) -> tuple[str, str, str]:
        """The numbers of rows in words, to fit and to evaluate, for both modalities."""
        first, second = self.split["modalities"]
        counts = (
            (f"fitted_{several(first)}", first),
            (f"judged_{several(first)}", first),
            (f"judged_{several(second)}", second),
        )
        fitted, judged, others = (f"{self.split[key]:,} {plural(name)}" for key, name in counts)
        return fitted, judged, others

    def __getitem__(self, name: str) -> Entry:
        return self.entries[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "entries": {
                name: {
                    "transductive": entry.transductive,
                    "gap": dict(entry.gap),
                    "numbers": {
                        key: value.to_dict()
                        | {
                            "better": entry.better[key],
                            "difference": entry.differences[key].to_dict()
                            if key in entry.differences
                            else None,
                        }
                        for key, value in entry.values.items()
                    },
                    "skipped": dict(entry.skipped),
                    "facts": dict(entry.facts),
                }
                for name, entry in self.entries.items()
            },
            "columns": list(self.columns),
            "failed": dict(self.failed),
            "curves": dict(self.curves),
            "split": dict(self.split),
            "pair": dict(self.pair),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Read the result of ``to_dict``.

        Raises:
            FileError: the dictionary has another form.
        """
        with reading("Comparison"):
            return cls(
                entries={name: _entry(name, each) for name, each in found["entries"].items()},
                columns=tuple(map(str, found["columns"])),
                failed={name: str(reason) for name, reason in found["failed"].items()},
                curves={name: list(points) for name, points in found["curves"].items()},
                split=dict(found["split"]),
                pair=dict(found["pair"]),
                versions={name: str(version) for name, version in found["versions"].items()},
            )

    def __str__(self) -> str:
        width = max(len(name) for name in self.entries)
        head = " ".join([" " * width, *(label(column) for column in self.columns)])
        lines = [head]
        for name, entry in self.entries.items():
            cells = []
            for column in self.columns:
                size = len(label(column))
                value = entry.values.get(column)
                cell = "–" if value is None else f"{value.value:.3f}{mark(entry.verdict(column))}"
                cells.append(f"{cell:>{size}}")
            lines.append(" ".join([f"{name:<{width}}", *cells]))
        if "repeats" in self.pair:
            lines.append(f"note: {self.pair['repeats']['note']}")
        return "\n".join(lines)


def _entry(name: str, found: Mapping[str, Any]) -> Entry:
    numbers = found["numbers"]
    return Entry(
        name=name,
        transductive=bool(found["transductive"]),
        gap=dict(found["gap"]),
        values={key: Value.from_dict(each) for key, each in numbers.items()},
        differences={
            key: Value.from_dict(each["difference"])
            for key, each in numbers.items()
            if each["difference"] is not None
        },
        better={key: str(each["better"]) for key, each in numbers.items()},
        skipped=dict(found["skipped"]),
        facts=dict(found["facts"]),
    )


def label(number: str) -> str:
    """The display name of a number: "image_to_text_r1" is "image → text R@1"."""
    shown = number.partition(".")[2] or number
    for old, new in (
        ("_to_", " → "), ("_r1", " R@1"), ("_ndcg10", " NDCG@10"), ("_accuracy", ""),
        ("_share10_", " query: fraction of "), ("_", " "),
        ("sq4", "SQ4"), ("sq8", "SQ8"), ("ivf pq4", "IVF PQ4"), ("pq4", "PQ4"),
        ("rabitq", "RaBitQ"), ("hnsw", "HNSW"),
        ("gaussian", "noise σ"), ("binary", "signs"), ("modality v", "modality V"),
    ):  # fmt: skip
        shown = shown.replace(old, new)
    return shown


def mark(verdict: str) -> str:
    """A sign for better and worse."""
    return {"better": "↑", "worse": "↓"}.get(verdict, " ")
