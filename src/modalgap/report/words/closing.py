"""Whether the gap is safe to close, the gap at which the loss is lowest, and caveats."""

from __future__ import annotations

from modalgap.modality import plural, span
from modalgap.report.say import number, percent
from modalgap.report.words.facts import Facts
from modalgap.views import Landscape

SCALED = "1/\u2060τ\u00a0=\u00a0"  # nor does this


def leakage(facts: Facts) -> str | None:
    """Whether the gap lies in directions that carry content."""
    names = [f"leakage_{name}" for name in facts.views.names]
    if len(names) < 2 or not facts.has(*names):
        return None
    values = [facts.result[name] for name in names]
    told = ", ".join(
        f"{percent(value.value)} for the {plural(name)} (a random direction: "
        f"{percent(value.details['chance'])})"
        for name, value in zip(facts.views.names, values, strict=True)
    )
    start = (
        f"Fraction of the length of the gap vector in the principal directions that explain "
        f"{percent(values[0].params['explained_variance'])} of the variance: {told}. "
    )
    if max(value.value for value in values) < 0.1:
        return (
            start
            + "The gap is nearly orthogonal to the content, so a shift should change few rankings."
        )
    if all(value.value < value.details["chance"] for value in values):
        return (
            start
            + "This is less than chance but not zero: compare retrieval before and after a shift."
        )
    return start + (
        "The gap is not orthogonal to the content, so a shift may change rankings: compare "
        "retrieval before and after a shift."
    )


def class_bias(facts: Facts) -> str | None:
    """What a shift adds to scores, against the margin that decides."""
    if not facts.has("class_bias_spread"):
        return None
    value = facts.value("class_bias_spread")
    told = (
        f"Removing the gap by a raw shift would change the scores of the {plural(facts.b)} "
        f"unequally (standard deviation {number(value)})"
    )
    shown = facts.views.cosines
    if shown is not None and "unmatched" in shown.means:
        margin = shown.means["matched"] - shown.means["unmatched"]
        told += f"; matched and unmatched pairs are {number(margin)} apart on average"
    return f"{told}."


def loss(facts: Facts) -> str | None:
    """Whether the contrastive loss is lower at another gap."""
    land = facts.views.landscape
    if land is None or not facts.has("loss_landscape"):
        return None
    value = facts.result["loss_landscape"]
    best, scale = value.value, 1 / float(value.params["temperature"])
    told = f"At {SCALED}{number(scale)} the contrastive loss is lowest at "
    if abs(best - land.present) < 1e-6:
        told += "the present gap: every other shift that was tried increases it."
    else:
        how = "smaller" if best < land.present else "larger"
        told += f"{number(best)}, a {how} gap than the present {number(land.present)}"
        told += f"{_curve(land, scale)}."
    soft = min(range(len(land.scales)), key=lambda at: abs(land.scales[at] - 10))
    other = abs(float(land.gaps[land.losses[soft].argmin()]))
    if abs(other - best) > 0.05:
        told += f" At {SCALED}{land.scales[soft]:g} it would be lowest at {number(other)}."
    return told


def _curve(land: Landscape, scale: float) -> str:
    """What the curve at this scale adds, if there is one: the side and the possible decrease."""
    near = [at for at, each in enumerate(land.scales) if abs(each / scale - 1) < 1e-9]
    if not near:
        return ""
    curve = land.losses[near[0]]
    lowest = curve.argmin()
    now = curve[abs(land.gaps - land.present).argmin()]
    side = ", with the means shifted past each other" if land.gaps[lowest] < -0.2 else ""
    return f"{side} (loss {number(float(curve[lowest]))}; now {number(float(now))})"


def not_unit(facts: Facts) -> str | None:
    """Rows that were normalised here."""
    told = []
    for name, unit in facts.result.pair.get("were_unit", {}).items():
        if not unit:
            low, high = facts.result.pair["norms"][name]
            told.append(f"the {plural(name)} (norms {span(number(low), number(high))})")
    if not told:
        return None
    return (
        f"These rows were not of unit length and were normalised before measuring: "
        f"{' and '.join(told)}. An index that uses inner products of the raw rows ranks "
        "differently."
    )


def few_rows(facts: Facts) -> str | None:
    """Covariances from too few rows, fewer than five per dimension."""
    rows = [facts.result.pair.get(f"n_{name}") or 0 for name in facts.views.names]
    width = facts.result.pair.get("dim") or 0
    told = [
        word
        for word, names in (
            ("Fréchet distance", ("frechet",)),
            ("effective rank", tuple(f"effective_rank_{name}" for name in facts.views.names)),
            ("leakage", tuple(f"leakage_{name}" for name in facts.views.names)),
        )
        if any(name in facts.result for name in names)
    ]
    if min(rows) >= 5 * width or not told:
        return None
    return (
        f"{min(rows):,} rows are few for covariances in {width} dimensions: "
        f"{', '.join(told)} and numbers computed from them would change with more rows. With few "
        "rows, the difference in shape is overestimated, and the fraction that a shift removes is "
        "underestimated."
    )
