"""Verdicts: what they compare with, and their counts in words.

A verdict is a mapping with the text fields claim, where, against, published, ours, verdict and
note. The field ``verdict`` begins with its state; a reason follows after a colon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

Verdict = Mapping[str, str]
Against = Literal["paper", "closed form", "reference"]

AGREES, DIFFERS, NOT_COMPUTED = "agrees", "differs", "not computed"
STATES = (AGREES, DIFFERS, NOT_COMPUTED)
PAPER: Final = "paper"
CLOSED_FORM: Final = "closed form"
REFERENCE: Final = "reference"
# what verdicts compare with: name to the name of several, of one, and of its values
NAMES = {
    PAPER: ("published results", "Published result", "Published"),
    CLOSED_FORM: ("closed forms", "Check", "Closed form"),
    REFERENCE: ("reference computations of our own", "Check", "Reference"),
}
ABOUT = (
    "Published results are statements and numbers of papers. Closed forms and our own reference"
    " computations are not from the papers; they check our implementation."
)


def against(verdict: Verdict) -> str:
    """What a verdict compares with; files of earlier versions do not say it."""
    return verdict.get("against", PAPER)


def state(verdict: Verdict) -> str:
    """Whether it agrees, differs, or is not computed."""
    return verdict["verdict"].partition(":")[0]


def reason(verdict: Verdict) -> str:
    """The words after the state; "" if there are none."""
    return verdict["verdict"].partition(":")[2].strip()


def by_kind(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Verdicts by what they compare with, published results first; without empty kinds."""
    found = list(verdicts)
    kinds = {kind: [each for each in found if against(each) == kind] for kind in NAMES}
    return {kind: own for kind, own in kinds.items() if own}


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """State to number of verdicts."""
    states = [state(each) for each in verdicts]
    return {each: states.count(each) for each in STATES}


def counted(verdicts: Iterable[Verdict]) -> str:
    """Counts as words: "3 agree, 1 differs, 2 not computed"."""
    found = counts(verdicts)
    return ", ".join(
        [
            "1 agrees" if found[AGREES] == 1 else f"{found[AGREES]} agree",
            "1 differs" if found[DIFFERS] == 1 else f"{found[DIFFERS]} differ",
            f"{found[NOT_COMPUTED]} not computed",
        ]
    )


def summary(verdicts: Iterable[Verdict]) -> list[str]:
    """The counts of each kind: "6 published results: 3 agree, 1 differs, 2 not computed"."""
    return [
        f"{len(own)} {NAMES[kind][0]}: {counted(own)}" for kind, own in by_kind(verdicts).items()
    ]


def missing(verdicts: Sequence[Verdict]) -> list[tuple[str, int]]:
    """The reasons why verdicts are not computed, with the number of each, the most first."""
    reasons = [reason(each) for each in verdicts if state(each) == NOT_COMPUTED]
    found = [(each, reasons.count(each)) for each in dict.fromkeys(reasons)]
    return sorted(found, key=lambda each: -each[1])
