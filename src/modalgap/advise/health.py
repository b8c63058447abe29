"""Health checks: is something wrong with these embeddings, before anything is built on them?

Each check compares one number with two thresholds and says what was seen, why it matters and what
to try. ``preflight`` runs all of them; a pipeline stops where one warns or fails
(``modalgap preflight --fail-on``). The default thresholds and their reasons are in ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from modalgap import checks
from modalgap.advise.advice import Check, Verdict
from modalgap.advise.trial import FEWEST
from modalgap.embeddings import Pair
from modalgap.errors import OptionError, quoted
from modalgap.modality import plural
from modalgap.result import Result

LEVELS = ("warn", "fail")
Thresholds = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Seen:
    """What checks are made of: the pair, its measures and the recommendations."""

    pair: Pair
    result: Result
    verdicts: Mapping[str, Verdict]

    def value(self, name: str) -> float | None:
        """A measure, if it applies."""
        return self.result[name].value if name in self.result else None

    def worst(self, name: str, *, lowest: bool = False) -> tuple[float, str] | None:
        """The worse value of the two modalities, and the plural of its modality."""
        found = [
            (value, plural(side.modality))
            for side in self.pair.sides
            if (value := self.value(f"{name}_{side.modality}")) is not None
        ]
        choose = min if lowest else max
        return choose(found, key=lambda each: each[0]) if found else None


Found = tuple[float, str] | None  # the number and the sentence, or None where it does not apply


@dataclass(frozen=True)
class Rule:
    """A check and its default thresholds.

    Attributes:
        name: its name in ``Advice.checks`` and in files of thresholds.
        find: the number and what was seen.
        warn, fail: default thresholds; None is never.
        reason: where these thresholds come from.
        why: why it matters.
        suggestion: what to try.
        low_is_bad: whether values below the thresholds are the bad ones.
    """

    name: str
    find: Callable[[Seen], Found] = field(repr=False)
    warn: float | None
    fail: float | None
    reason: str
    why: str
    suggestion: str
    low_is_bad: bool = False

    def status(self, value: float, warn: float | None, fail: float | None) -> str:
        """The status of a value: "ok", "warn" or "fail"."""
        for level, limit in (("fail", fail), ("warn", warn)):
            if limit is not None and (value < limit if self.low_is_bad else value > limit):
                return level
        return "ok"


def _matched_pairs(seen: Seen) -> Found:
    name = f"score_spread_ratio_{seen.pair.image.modality}"
    matched = seen.value("matched_cosine")
    if matched is None or name not in seen.result:
        return None
    across = seen.result[name].details["across"]
    pairs, matches = seen.pair.image.n * seen.pair.text.n, len(seen.pair.matches[0])
    if pairs <= matches or across["sd"] <= 0:
        return None
    unmatched = (pairs * across["mean"] - matches * matched) / (pairs - matches)
    value = (matched - unmatched) / across["sd"]
    return value, (
        f"the mean cosine of matched pairs, {matched:.3f}, is {value:.2f} standard deviations"
        f" above that of unmatched pairs, {unmatched:.3f}"
    )


def _cone(seen: Seen) -> Found:
    found = seen.worst("cone")
    if found is None:
        return None
    return found[0], f"two unrelated {found[1]} have a cosine of {found[0]:.2f} on average"


def _directions(seen: Seen) -> Found:
    fractions = []
    for side in seen.pair.sides:
        rank, most = seen.value(f"effective_rank_{side.modality}"), min(side.dim, side.n - 1)
        if rank is not None and most > 0:
            said = f"the {plural(side.modality)} use {rank:.1f} of {most} directions"
            fractions.append((rank / most, said))
    return min(fractions, default=None)


def _hubness(seen: Seen) -> Found:
    found = seen.worst("hubness")
    if found is None:
        return None
    return found[0], (
        f"the numbers of times that {found[1]} are neighbours of others have a skewness of"
        f" {found[0]:.1f}"
    )


def _antihubs(seen: Seen) -> Found:
    found = seen.worst("antihub_fraction")
    if found is None:
        return None
    return found[0], f"{found[0]:.0%} of the {found[1]} are not a neighbour of any other"


def _near_duplicates(seen: Seen) -> Found:
    found = seen.worst("near_duplicate_fraction")
    if found is None:
        return None
    return found[0], f"{found[0]:.0%} of the {found[1]} have an almost equal one (cosine of .98)"


def _out_of_corpus(seen: Seen) -> Found:
    found = seen.worst("out_of_corpus_fraction")
    if found is None:
        return None
    return found[0], (
        f"{found[0]:.0%} of the {found[1]} as queries have a best score below the scores that the"
        " gallery items of the other modality have among themselves"
    )


def _norms(seen: Seen) -> Found:
    ranges = {side.modality: side.norm_range for side in seen.pair.sides}
    spreads = {name: (high - low) / high for name, (low, high) in ranges.items()}
    name = max(spreads, key=lambda each: spreads[each])
    low, high = ranges[name]
    shortest, longest = f"{low:.4g}", f"{high:.4g}"
    if shortest == longest:
        return spreads[name], f"all stored {plural(name)} have length {longest}"
    return spreads[name], f"the stored {plural(name)} have lengths from {shortest} to {longest}"


def _rows(seen: Seen) -> Found:
    n = seen.pair.image.n
    return float(n), f"there are {n:,} {plural(seen.pair.image.modality)}"


def _gain(seen: Seen) -> Found:
    gains = [
        (verdict.differences[verdict.closer][0], f"{verdict.task}: {verdict.closer}")
        for verdict in seen.verdicts.values()
        if verdict.closer in verdict.differences
    ]
    if not gains:
        return 0.0, "no closer is significantly better on held-out rows"
    value, which = max(gains)
    return value, f"{which} gains {value:.3f} on held-out rows"


CHECKS: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "matched_pairs",
            _matched_pairs,
            warn=2.0,
            fail=0.5,
            low_is_bad=True,
            reason="500 COCO pairs of CLIP ViT-B/16: 3.0; the same pairs in random order, or the"
            " untrained network: below .05.",
            why="Search across modalities ranks by this difference. Near 0 the rows do not match or"
            " the model is not trained.",
            suggestion="Check that row i of both files is the same item (or give --pairs), and that"
            " one model with its weights made both.",
        ),
        Rule(
            "cone",
            _cone,
            warn=0.8,
            fail=0.95,
            reason="CLIP: .53 and .52, untrained: .68 and .66; above .95 cosines differ only in the"
            " second decimal.",
            why="All cosines are in a narrow range, so thresholds and quantised indexes tell items"
            " apart badly.",
            suggestion="Subtract the mean (modalgap close center). Close to 1, check that the model"
            " was loaded with its weights.",
        ),
        Rule(
            "directions",
            _directions,
            warn=0.05,
            fail=0.01,
            low_is_bad=True,
            reason="Effective rank as a fraction of the most that rows and columns allow. CLIP: .19"
            " and .21; the untrained image tower: .007.",
            why="Most columns carry no information: the embeddings have collapsed, or all items are"
            " of one topic.",
            suggestion="Measure a sample of varied items. If it stays low, check preprocessing and"
            " weights, or train with a uniformity loss.",
        ),
        Rule(
            "hubness",
            _hubness,
            warn=3.0,
            fail=10.0,
            reason="CLIP: 1.3 and 2.3 for 500 items; Radovanović et al. 2010 find 1 to 5 in most"
            " data of many dimensions.",
            why="A few items are among the results of many queries, whatever these ask for.",
            suggestion="Correct scores with nnn or csls (modalgap list corrections), or centre.",
        ),
        Rule(
            "antihubs",
            _antihubs,
            warn=0.15,
            fail=0.5,
            reason="CLIP: .05 and .06 for 500 items, .01 after centring; without hubs less than"
            " .001.",
            why="Search does not return these items, whatever is asked for.",
            suggestion="Centre, or correct scores with nnn or csls (modalgap list corrections).",
        ),
        Rule(
            "near_duplicates",
            _near_duplicates,
            warn=0.05,
            fail=0.3,
            reason="COCO: 0; the untrained image tower: .90. Above .3 most results repeat.",
            why="Copies fill results and compete with the right answer, which makes recall look"
            " worse than it is.",
            suggestion="Remove them before indexing, or join equal items (modalgap convert"
            " --join-repeats).",
        ),
        Rule(
            "out_of_corpus",
            _out_of_corpus,
            warn=0.5,
            fail=None,
            reason="CLIP: 1.0, .3 after centring; without a gap .01. It never fails by default:"
            " ranking across modalities alone is not affected.",
            why="Scores across modalities and within one are on different scales. In one index of"
            " both, the query's own modality fills the results, and a common threshold rejects"
            " right answers.",
            suggestion="For a mixed index or a common threshold, centre (modalgap close center) or"
            " calibrate each pair of modalities.",
        ),
        Rule(
            "norms",
            _norms,
            warn=0.1,
            fail=None,
            reason="Shortest against longest row, relative; 0 for unit rows. It never fails by"
            " default: modalgap normalises rows itself.",
            why="Inner product and cosine rank differently if lengths differ.",
            suggestion="Normalise rows before storing them, or use cosine in the index.",
        ),
        Rule(
            "rows",
            _rows,
            warn=200.0,
            fail=None,
            low_is_bad=True,
            reason=f"With 200 images, the intervals of recall are about ±.07; preflight refuses"
            f" fewer than {2 * FEWEST}.",
            why="Intervals are wide, so that only large effects are significant.",
            suggestion="Use a larger sample of what will be stored.",
        ),
        Rule(
            "gain_from_closing",
            _gain,
            warn=0.05,
            fail=None,
            reason="The largest significant gain of the recommended closers. It never fails by"
            " default: it is an opportunity, not a defect.",
            why="The embeddings as they are perform worse at this task than they could.",
            suggestion="Follow the recommendation for this task: modalgap close, or modalgap close"
            " fit zscore.",
        ),
    )
}


def resolve(given: object, source: str = "thresholds") -> dict[str, dict[str, float | None]]:
    """Default thresholds with those of the user.

    Args:
        given: name to {"warn": number, "fail": number}; both optional, None is never.
        source: what an error calls them.

    Raises:
        OptionError: an unknown check or level, a value that is not a number or None, or a warning
            that lies beyond the failure.
    """
    found: dict[str, dict[str, float | None]] = {
        name: {"warn": rule.warn, "fail": rule.fail} for name, rule in CHECKS.items()
    }
    if given is None:
        return found
    if not isinstance(given, Mapping):
        raise OptionError(f"{source}: must map names of checks to levels; got {quoted(given)}")
    for name, levels in given.items():
        if name not in CHECKS:
            raise OptionError.unknown(f"check in {source}", str(name), CHECKS)
        if not isinstance(levels, Mapping):
            raise OptionError(
                f'{source}: {name} must be like {{"warn": 1, "fail": 2}}; got {quoted(levels)}'
            )
        for level, value in levels.items():
            if level not in LEVELS:
                raise OptionError.unknown(f"level of {name} in {source}", str(level), LEVELS)
            if value is not None:
                checks.finite(f"{source}: {level} of {name}", value)
            found[name][level] = None if value is None else float(value)
        warn, fail = found[name]["warn"], found[name]["fail"]
        if warn is not None and fail is not None:
            low = CHECKS[name].low_is_bad
            if warn < fail if low else warn > fail:
                raise OptionError(
                    f"{source}: warn of {name} must be at {'least' if low else 'most'} its fail,"
                    f" {fail:g}; got {warn:g}"
                )
    return found


def health(
    pair: Pair,
    result: Result,
    verdicts: Mapping[str, Verdict],
    thresholds: Thresholds,
) -> tuple[Check, ...]:
    """Every check that applies, in the order of ``CHECKS``.

    Args:
        pair: the input.
        result: its measures.
        verdicts: the recommendations.
        thresholds: those of ``resolve``.
    """
    return tuple(_checked(Seen(pair, result, verdicts), CHECKS.values(), thresholds))


def _checked(seen: Seen, rules: Iterable[Rule], thresholds: Thresholds) -> Iterable[Check]:
    for rule in rules:
        found = rule.find(seen)
        if found is None:
            continue
        value, said = found
        warn, fail = (thresholds[rule.name][level] for level in LEVELS)
        status = rule.status(value, warn, fail)
        yield Check(rule.name, status, float(value), warn, fail, said, rule.why, rule.suggestion)
