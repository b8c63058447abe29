"""The summary of a report: one rule per sentence, used only if its measures are in the result.

A rule describes numbers. If it also evaluates them, the rule contains the threshold.
"""

from __future__ import annotations

from collections.abc import Callable

from modalgap.report.words import closing, gap, use
from modalgap.report.words.facts import Facts
from modalgap.result import Result
from modalgap.views import Views

__all__ = ["TOPICS", "Facts", "summary"]

TOPICS: dict[str, tuple[Callable[[Facts], str | None], ...]] = {
    "Size": (gap.size, gap.relative, gap.separable),
    "Structure": (gap.shift_share, gap.dimensions, gap.spread, gap.cones, gap.rank),
    "Matches": (use.cosines, use.ranking, use.neighbours),
    "Search": (use.mixed, use.hubs, use.predictions, use.bias),
    "Closing": (closing.leakage, closing.class_bias),
    "Loss": (closing.loss,),
    "Caveats": (closing.not_unit, closing.few_rows),
}


def summary(result: Result, views: Views) -> list[tuple[str, list[str]]]:
    """Sentences by topic; a topic without sentences is left out."""
    facts = Facts(result, views)
    found = []
    for topic, rules in TOPICS.items():
        said = [sentence for rule in rules if (sentence := rule(facts)) is not None]
        if said:
            found.append((topic, said))
    return found
