"""Outcome: the result of one study, if several are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.result import Table
from modalgap.study.base import Study
from modalgap.verdicts import Verdict, by_kind, counts

OK, NEEDS, FAILED = "ok", "needs data", "failed"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one study, or the reason of its failure.

    Attributes:
        study: the study.
        table: its table; None if it failed.
        reason: why there is no table; "" if there is one.
        ready: whether there is no table only because data are missing that the user must get.
        seconds: the duration; short if a finished result is reused.
        verdicts: the verdict on each result to compare with; "not computed" for a failed study.
    """

    study: Study
    table: Table | None
    reason: str
    seconds: float
    verdicts: Sequence[Verdict] = field(default_factory=tuple)
    ready: bool = False

    @property
    def status(self) -> str:
        """One of "ok", "needs data" and "failed"."""
        if self.table is not None:
            return OK
        return NEEDS if self.ready else FAILED

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the table."""
        return {
            "study": self.study.name,
            "status": self.status,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "counts": counts_by_kind(self.verdicts),
        }


def counts_by_kind(verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """What verdicts compare with, to the number that agree, differ and are not computed."""
    return {kind: counts(own) for kind, own in by_kind(verdicts).items()}
