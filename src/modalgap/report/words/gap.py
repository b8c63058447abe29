"""How large the gap is, and in which properties the modalities differ."""

from __future__ import annotations

from modalgap.modality import dimensions as dimensions_of
from modalgap.modality import plural
from modalgap.report.say import number, percent
from modalgap.report.words.facts import Facts

# From the embeddings of 500 COCO images and captions that this project is tested on.
SCALE = "For comparison: CLIP ViT-B/16 has 0.85 on COCO captions, and 1.14 before training."


def size(facts: Facts) -> str | None:
    """How far apart the means are, against what sampling alone gives."""
    if not facts.has("l2m"):
        return None
    gap, noise = facts.value("l2m"), float(facts.result["l2m"].details["noise"])
    start = f"The means of the {plural(facts.a)} and the {plural(facts.b)} are {number(gap)} apart"
    if gap < 2 * noise:
        return (
            f"{start}. Without a gap, a sample of this size would have a distance of about "
            f"{number(noise)}, so this is not evidence of a gap."
        )
    against = (
        f", {number(gap / noise)} times the distance expected from sampling alone" if noise else ""
    )
    return f"{start}{against}. {SCALE}"


def relative(facts: Facts) -> str | None:
    """Whether a matched pair is farther apart than two unrelated items of one modality."""
    if not facts.has("rmg"):
        return None
    rmg = facts.value("rmg")
    how = "farther apart than" if rmg > 0.5 else "closer than"
    return (
        f"On average, a matched pair is {how} two unrelated items of one modality (relative gap "
        f"{number(rmg)}; 0.5 means equal distances; lower is a smaller gap)."
    )


def separable(facts: Facts) -> str | None:
    """Whether a linear classifier separates the modalities."""
    if not facts.has("separability"):
        return None
    value = facts.result["separability"]
    low = value.interval[0] if value.interval else value.value
    if low <= 0.5:
        return (
            f"A linear classifier cannot distinguish {facts.a} from {facts.b}: accuracy "
            f"{percent(value.value)}."
        )
    return (
        f"A linear classifier distinguishes {facts.a} from {facts.b} in {percent(value.value)} of "
        f"held-out cases (chance: {percent(0.5)})."
    )


def shift_share(facts: Facts) -> str | None:
    """Difference of means against difference of shape."""
    if not facts.has("centroid_share"):
        return None
    share = facts.value("centroid_share")
    return (
        f"Shifting one modality so that both means are equal removes {percent(share)} of the "
        f"difference between the two distributions (squared Fréchet distance). The remaining "
        f"{percent(1 - share)} is a difference in shape, which a shift cannot remove."
    )


def dimensions(facts: Facts) -> str | None:
    """In how few dimensions the gap is."""
    if not facts.has("gap_concentration", "per_dimension_gap"):
        return None
    details = facts.result["gap_concentration"].details
    held = dict(zip(details["top"], details["share"], strict=True))
    numbers = facts.result["per_dimension_gap"].details["dimensions"]
    width = len(numbers)
    if width < 4 or 2 not in held:
        return None
    if held[2] >= max(0.3, 4 * 2 / width):
        return (
            f"Dimensions {numbers[0]} and {numbers[1]} alone (of {width}, counted from 0) account "
            f"for {percent(held[2])} of the squared distance between the means."
        )
    most = max(top for top in held if top <= 10)
    return (
        f"The {most} dimensions whose means differ most account for {percent(held[most])} of the "
        f"squared distance between the means (if all dimensions differed equally: "
        f"{percent(most / width)})."
    )


def spread(facts: Facts) -> str | None:
    """Whether one modality is more spread out; stated if the ratio is off 1 by at least .1."""
    if not facts.has("trace_ratio"):
        return None
    ratio = facts.value("trace_ratio")
    if 0.9 <= ratio <= 1.1 or ratio <= 0:
        return None
    wide, narrow = (facts.a, facts.b) if ratio > 1 else (facts.b, facts.a)
    return (
        f"The total variance of the {plural(wide)} is {number(max(ratio, 1 / ratio))} times that "
        f"of the {plural(narrow)}."
    )


def cones(facts: Facts) -> str | None:
    """Cosines inside one modality, where there is only one."""
    name = f"cone_{facts.a}"
    if len(facts.views.names) > 1 or not facts.has(name):
        return None
    value = facts.value(name)
    how = "lie in a narrow cone" if value > 0.3 else "use most of the sphere"
    return (
        f"Two unrelated {plural(facts.a)} have a cosine of {number(value)} on average, so they "
        f"{how} (0 means directions that are uniform on the sphere)."
    )


def rank(facts: Facts) -> str | None:
    """How many directions each modality uses."""
    names = [f"effective_rank_{name}" for name in facts.views.names]
    width = facts.result.pair.get("dim")
    if not facts.has(*names) or not width:
        return None
    told = [
        f"the {plural(modality)} use about {number(facts.value(name))}"
        for modality, name in zip(facts.views.names, names, strict=True)
    ]
    return f"Of {dimensions_of(width)}, {' and '.join(told)} (effective rank)."
