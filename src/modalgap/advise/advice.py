"""Advice: the result of ``preflight``, and its text and JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from modalgap.advise.comparison import label
from modalgap.arguments import checked
from modalgap.modality import listed
from modalgap.result import Answer, reading

STATUSES = ("ok", "warn", "fail")


@dataclass(frozen=True)
class Verdict:
    """The recommendation for one task.

    Attributes:
        task: "retrieval", "zeroshot", "mixed" or "quantised".
        answer: "close", "leave" or "do not".
        closer: the recommended closer, or "".
        before: the number without closing; higher is better.
        after: maps a candidate to its number.
        differences: maps a candidate to (difference, low, high).
        why: sentences that explain the answer.
        numbers: if there is a recommended closer and several numbers were tried: maps each, such as
            "int4_accuracy", to (before, after, low, high) for this closer; low and high are the
            interval of the difference.
    """

    task: str
    answer: str
    closer: str
    before: float
    after: Mapping[str, float]
    differences: Mapping[str, tuple[float, float, float]]
    why: tuple[str, ...]
    numbers: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    @property
    def better(self) -> tuple[str, ...]:
        """The numbers that the recommended closer improves significantly."""
        return tuple(name for name, (_, _, low, _) in self.numbers.items() if low > 0)


@dataclass(frozen=True)
class Check:
    """One health check; see ``modalgap.advise.CHECKS``.

    Attributes:
        name: its name.
        status: "ok", "warn" or "fail".
        value: the number that was checked.
        warn, fail: the thresholds; None is never.
        seen: what was seen.
        why: why it matters.
        suggestion: what to try.
    """

    name: str
    status: str
    value: float
    warn: float | None
    fail: float | None
    seen: str
    why: str
    suggestion: str

    def __str__(self) -> str:
        said = f"{self.status:4} {self.name}: {self.seen}."
        if self.status == "ok":
            return said
        return f"{said}\n     {self.why}\n     Try: {self.suggestion}"


@checked
@dataclass(frozen=True)
class Advice(Answer):
    """The result of ``preflight``. ``print(advice)`` shows the report.

    Attributes:
        verdicts: maps a task to its recommendation.
        diagnosis: sentences on the gap itself.
        measured: the measures on which the diagnosis and the verdicts are based.
        skipped: tasks that do not apply, with the reason.
        pair: facts of the input.
        versions: versions of modalgap and of the libraries that compute.
        checks: health checks of the embeddings; ``status`` is the worst of them.
    """

    schema: ClassVar[str] = "advice/1"
    verdicts: Mapping[str, Verdict]
    diagnosis: tuple[str, ...]
    measured: Mapping[str, float]
    skipped: Mapping[str, str]
    pair: Mapping[str, Any]
    versions: Mapping[str, str]
    checks: tuple[Check, ...] = ()

    @property
    def status(self) -> str:
        """The worst status of the checks: "ok", "warn" or "fail"."""
        return max((check.status for check in self.checks), key=STATUSES.index, default="ok")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "status": self.status,
            "checks": [asdict(check) for check in self.checks],
            "verdicts": {name: asdict(verdict) for name, verdict in self.verdicts.items()},
            "diagnosis": list(self.diagnosis),
            "measured": dict(self.measured),
            "skipped": dict(self.skipped),
            "pair": dict(self.pair),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Read the result of ``to_dict``.

        Raises:
            FileError: the dictionary has another form.
        """
        with reading("Advice"):
            return cls(
                {name: _verdict_of(each) for name, each in found["verdicts"].items()},
                tuple(map(str, found["diagnosis"])),
                {name: float(value) for name, value in found["measured"].items()},
                {name: str(reason) for name, reason in found["skipped"].items()},
                dict(found["pair"]),
                {name: str(version) for name, version in found["versions"].items()},
                tuple(map(_check_of, found.get("checks", ()))),
            )

    def __str__(self) -> str:
        lines = list(self.diagnosis)
        for verdict in self.verdicts.values():
            lines += ["", f"{verdict.task}: {headline(verdict)}"]
            lines += [f"  {sentence}" for sentence in verdict.why]
        if self.checks:
            lines += ["", f"checks: {self.status}", *map(str, self.checks)]
        return "\n".join(lines)


def _verdict_of(found: Mapping[str, Any]) -> Verdict:
    differences = {
        candidate: (float(apart), float(low), float(high))
        for candidate, (apart, low, high) in found["differences"].items()
    }
    after = {candidate: float(value) for candidate, value in found["after"].items()}
    numbers = {
        name: (float(was), float(now), float(low), float(high))
        for name, (was, now, low, high) in found.get("numbers", {}).items()
    }
    return Verdict(
        str(found["task"]), str(found["answer"]), str(found["closer"]), float(found["before"]),
        after, differences, tuple(map(str, found["why"])), numbers,
    )  # fmt: skip


def _check_of(found: Mapping[str, Any]) -> Check:
    warn, fail = (None if found[level] is None else float(found[level]) for level in STATUSES[1:])
    texts = (str(found[name]) for name in ("seen", "why", "suggestion"))
    status = STATUSES[STATUSES.index(found["status"])]
    return Check(str(found["name"]), status, float(found["value"]), warn, fail, *texts)


def headline(verdict: Verdict) -> str:
    """The answer in a few words; it names the numbers that improve, unless all do."""
    closer, _, scores = verdict.closer.rpartition(" + ")
    do = {
        "zscore": "standardise the scores (zscore)", "rrf": "merge lists of one form each (rrf)",
    }.get(scores, f"close it, with {verdict.closer}")  # fmt: skip
    better = verdict.better
    only = (
        f", for {listed([*map(label, better)])}" if 0 < len(better) < len(verdict.numbers) else ""
    )
    return {
        "close": (f"close it, with {closer}, and {do}" if closer else do) + only,
        "leave": "leave it as it is",
        "do not": "do not close it",
    }[verdict.answer]
