"""Outcome: the result of one study, if several are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.result import Table
from modalgap.study.base import Study
from modalgap.study.published import AGREES, DIFFERS, NOT_COMPUTED

OK, FAILED = "ok", "failed"
KINDS = (AGREES, DIFFERS, NOT_COMPUTED)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one study, or the reason of its failure.

    Attributes:
        study: the study.
        table: its table; None if it failed.
        reason: the reason of a failure; "" if it did not fail.
        seconds: the duration; short if a finished result is reused.
        verdicts: the verdict on each published result; "not computed" for a failed study.
    """

    study: Study
    table: Table | None
    reason: str
    seconds: float
    verdicts: Sequence[Mapping[str, str]] = field(default_factory=tuple)

    def count(self, kind: str) -> int:
        """Number of verdicts: "agrees", "differs" or "not computed"."""
        return sum(each["verdict"].startswith(kind) for each in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the table."""
        return {
            "study": self.study.name,
            "status": FAILED if self.table is None else OK,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            **{
                kind.replace(" ", "_"): self.count(kind) for kind in (AGREES, DIFFERS, NOT_COMPUTED)
            },
        }
