"""A candidate of ``preflight`` on both halves: its mean, and each number by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modalgap import checks
from modalgap.advise.comparison import label
from modalgap.evaluate.base import Floats, Scores, percentiles
from modalgap.modality import listed


@dataclass(frozen=True, eq=False)
class Tried:
    """A candidate on both halves: mean of its numbers, bootstrap draws, names, own fractions.

    Attributes:
        value: mean of the numbers over both halves.
        draws: bootstrap draws of it.
        used: names of the numbers.
        parts: each number and its bootstrap draws; also of numbers that are not in the mean.
        own: for mixed search, the fraction of the first results that are of the modality of the
            query, by modality; the right item left out.
    """

    value: float
    draws: Floats
    used: tuple[str, ...]
    parts: Mapping[str, tuple[float, Floats]]
    own: Mapping[str, float]


def over_halves(
    outcomes: Sequence[Mapping[str, Scores]],
    numbers: tuple[str, ...],
    end: str,
    seed: int,
    further: tuple[str, ...] = (),
) -> Tried:
    """The numbers whose names end so, over both halves; ``further`` ones are not in the mean."""
    known = [
        name for name in (*numbers, *further) if all(name + end in scores for scores in outcomes)
    ]
    used = [name for name in known if name in numbers]
    checks.needs(len(used) > 0, f"none of {', '.join(numbers)} is available")
    parts = {}
    for name in known:
        drawn = [scores[name + end].draws(seed + 1 - fold) for fold, scores in enumerate(outcomes)]
        draws = [each for each in drawn if each is not None]
        checks.needs(len(draws) == len(drawn), "too few images for an interval")
        value = float(np.mean([scores[name + end].value for scores in outcomes]))
        parts[name] = (value, np.mean(draws, axis=0))
    own = {}
    for modality in (name.partition("_")[0] for name in used):
        share = f"{modality}_share10_{modality}{end}"
        if all(share in scores for scores in outcomes):
            own[modality] = float(np.mean([scores[share].value for scores in outcomes]))
    value = float(np.mean([parts[name][0] for name in used]))
    return Tried(value, np.mean([parts[name][1] for name in used], axis=0), tuple(used), parts, own)


def by_number(
    tried: Mapping[str, Tried], best: str
) -> tuple[dict[str, tuple[float, float, float, float]], list[str]]:
    """Each number before and after, with the interval of the difference, and the sentences."""
    before, after = tried["none"].parts, tried[best].parts
    names = [name for name in after if name in before]
    if len(names) < 2:
        return {}, []
    level = 1 - 0.05 / len(names)
    numbers = {}
    for name in names:
        between = percentiles(after[name][1] - before[name][1], level)
        if between is not None:
            numbers[name] = (before[name][0], after[name][0], *between)
    said = [f"{best}, for each number by itself; differences with {100 * level:.1f} % intervals:"]
    kinds: dict[str, list[str]] = {"better": [], "worse": [], "not significant": []}
    for name, (was, now, low, high) in numbers.items():
        kind = "better" if low > 0 else "worse" if high < 0 else "not significant"
        kinds[kind].append(label(name))
        said.append(
            f"{label(name)}: {was:.3f} → {now:.3f}, a difference of {now - was:+.3f}"
            f" [{low:+.3f}, {high:+.3f}], {kind}."
        )
    parts = [
        f"{kind} for {listed(each)}" if kind != "not significant" else
        f"the difference is not significant for {listed(each)}"
        for kind, each in kinds.items() if each
    ]  # fmt: skip
    return numbers, [*said, f"In short, {best}: {'; '.join(parts)}."]


def own_share(tried: Tried) -> str:
    """How many of the first ten results are of the query's own modality."""
    if not tried.own:
        return ""
    parts = [f"{value:.0%} for {modality} queries" for modality, value in tried.own.items()]
    return f" (own modality among the first ten: {', '.join(parts)})"
