"""What the gap does to matches, search and predictions."""

from __future__ import annotations

from modalgap.modality import article, plural
from modalgap.report.say import number, percent
from modalgap.report.words.facts import Facts

OBJECT = "depend more on the object than on the attributes"
ATTRIBUTE = "depend more on the attributes than on the object"
NEITHER = "depend about equally on the object and on the attributes"


def cosines(facts: Facts) -> str | None:
    """Why image-text cosines are low, and what that does to thresholds."""
    inside = [f"cone_{name}" for name in facts.views.names]
    shown = facts.views.cosines
    if len(inside) < 2 or shown is None or not facts.has("matched_cosine", *inside):
        return None
    matched, unmatched = facts.value("matched_cosine"), shown.means.get("unmatched")
    within = [facts.value(name) for name in inside]
    told = f"A matched {facts.a}–{facts.b} pair has a cosine of {number(matched)} on average"
    if unmatched is not None:
        told += f", an unmatched one {number(unmatched)}"
    told += (
        f"; two unrelated {plural(facts.a)} have {number(within[0])} and two unrelated "
        f"{plural(facts.b)} {number(within[1])}."
    )
    if matched < min(within):
        told += (
            " Two unrelated items of one modality are more similar than a matched pair, so"
            f" {facts.a}–{facts.b} cosines need their own threshold for a match."
        )
    return told


def ranking(facts: Facts) -> str | None:
    """The order of cosines may be right even if all cosines are low."""
    shown = facts.views.cosines
    if shown is None or shown.order is None:
        return None
    if shown.order < 0.55:
        return (
            f"A matched pair has a higher cosine than an unmatched pair in only "
            f"{percent(shown.order)} of cases (sample of {shown.pairs:,} pairs; "
            f"chance: {percent(0.5)})."
        )
    return (
        f"A matched pair has a higher cosine than an unmatched pair in {percent(shown.order)} of "
        f"cases (sample of {shown.pairs:,} pairs). Ranking depends on the order of cosines, not on "
        "their size."
    )


def neighbours(facts: Facts) -> str | None:
    """Whether neighbours are the same in both modalities."""
    if not facts.has("nas"):
        return None
    value = facts.result["nas"]
    return (
        f"{article(facts.a).capitalize()} and its own {facts.b} share {percent(value.value)} of "
        f"their {value.params['k']} nearest neighbours (chance: "
        f"{percent(value.details['chance'])})."
    )


def mixed(facts: Facts) -> str | None:
    """What a mixed index does."""
    if not facts.has("itr", "tir", "tmr", "imr"):
        return None
    first, second = facts.value("itr"), facts.value("tir")
    ranks = (
        f"the best {facts.b} for {article(facts.a)} query is at rank "
        f"{number(facts.value('tmr'))} on average, the best {facts.a} for {article(facts.b)} query "
        f"at rank {number(facts.value('imr'))}"
    )
    if max(first, second) < 0.01:
        often = "always" if max(first, second) == 0 else "almost always"
        return (
            f"In one index that holds both, the first result {often} has the modality of the query:"
            f" {ranks}."
        )
    return (
        f"In one index that holds both, {percent(first)} of {facts.a} queries find "
        f"{article(facts.b)} first and {percent(second)} of {facts.b} queries {article(facts.a)}: "
        f"{ranks}."
    )


def hubs(facts: Facts) -> str | None:
    """Items that are in many results; stated from a skewness of 1."""
    told = []
    for name in facts.views.names:
        if facts.has(f"hubness_{name}") and facts.value(f"hubness_{name}") > 1:
            value = facts.result[f"hubness_{name}"]
            told.append(
                f"one {name} is among the {value.params['k']} nearest of "
                f"{value.details['largest']:,} others (skewness {number(value.value)})"
            )
    if not told:
        return None
    return f"Some items are in many results (hubs): {' and '.join(told)}."


def predictions(facts: Facts) -> str | None:
    """Whether predicted classes are more concentrated than the true ones, by a tenth of Gini."""
    if not facts.has("prediction_gini"):
        return None
    value = facts.result["prediction_gini"]
    labels = float(value.details["labels"])
    how = (
        "are concentrated on few classes"
        if value.value > labels + 0.1
        else "are distributed about as the labels are"
    )
    return f"Predictions {how} (Gini {number(value.value)}, labels {number(labels)})."


def bias(facts: Facts) -> str | None:
    """Object against attributes; neither, where the interval contains 0."""
    told: dict[str, list[str]] = {}
    for name in facts.views.names:
        if facts.has(f"moad_{name}"):
            value = facts.result[f"moad_{name}"]
            low, high = value.interval or (value.value, value.value)
            kind = OBJECT if low > 0 else ATTRIBUTE if high < 0 else NEITHER
            told.setdefault(kind, []).append(f"between {plural(name)} (MOAD {number(value.value)})")
    parts = [f"{' and '.join(where)} {kind}" for kind, where in told.items()]
    return f"Cosines {'; cosines '.join(parts)}." if parts else None
