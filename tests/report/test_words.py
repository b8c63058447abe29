"""The summary in plain words: every rule says what its numbers say, or holds its tongue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modalgap.modality import plural
from modalgap.report.say import number, percent
from modalgap.report.words import TOPICS, Facts, closing, gap, summary, use
from modalgap.result import Result, Value
from modalgap.views import Cosines, Landscape, Views


def cosine_view(order: float = 0.99) -> Cosines:
    means = {"matched": 0.3, "unmatched": 0.15, "image–image": 0.5, "text–text": 0.5}
    return Cosines(np.array([0.0, 1.0]), {}, means, order, 500)


def land(lowest: float) -> Landscape:
    """A curve at 1/τ = 100 that is lowest at ``lowest``, and one at 10 that is lowest at 0."""
    gaps = np.array([-0.8, 0.0, 0.4, 0.8, 1.2])
    losses = np.stack([(gaps - lowest) ** 2 + 1, gaps**2 + 2])
    return Landscape(gaps, 0.8, (100.0, 10.0), losses, np.log(50))


def facts(
    pair: dict[str, Any] | None = None,
    names: tuple[str, ...] = ("image", "text"),
    cosines: Cosines | None = None,
    landscape: Landscape | None = None,
    **values: Any,
) -> Facts:
    """What rules see; a value is a number, or the arguments of ``Value``."""
    made = {
        name: Value(**given) if isinstance(given, dict) else Value(float(given))
        for name, given in values.items()
    }
    return Facts(
        Result(made, {}, pair or {}, {}), Views(names, None, None, None, cosines, landscape)
    )


def l2m(value: float, noise: float) -> dict[str, Any]:
    return {"value": value, "details": {"noise": noise}}


def leak(image: float, text: float) -> Facts:
    found = {
        f"leakage_{name}": {
            "value": value,
            "params": {"explained_variance": 0.9},
            "details": {"chance": 0.5},
        }
        for name, value in (("image", image), ("text", text))
    }
    return facts(**found)


def held(share: float, width: int = 100) -> Facts:
    return facts(
        gap_concentration={
            "value": 0.8,
            "details": {"top": [1, 2, 5, 10], "share": [0.1, share, 0.7, 0.8]},
        },
        per_dimension_gap={"value": 0.5, "details": {"dimensions": list(range(width))[::-1]}},
    )


def mixing(itr: float, tir: float) -> Facts:
    return facts(itr=itr, tir=tir, tmr=496, imr=476)


def lowest(at: float, land_at: float) -> Facts:
    value = {"value": at, "params": {"temperature": 0.01}}
    return facts(landscape=land(land_at), loss_landscape=value)


MATCHED = {"matched_cosine": 0.3, "cone_image": 0.53, "cone_text": 0.52}
UNIT = {"norms": {"image": [2, 3], "text": [1, 1]}, "were_unit": {"image": False, "text": True}}

CASES: list[tuple[Any, Facts, str | None]] = [
    (gap.size, facts(), None),
    (gap.size, facts(l2m=l2m(0.85, 0.044)), "0.85 apart, 19 times"),
    (gap.size, facts(l2m=l2m(0.05, 0.044)), "not evidence"),
    (gap.size, facts(l2m=l2m(0.5, 0)), "0.50 apart. For comparison"),
    (gap.relative, facts(rmg=0.59), "farther apart than"),
    (gap.relative, facts(rmg=0.31), "closer than"),
    (gap.separable, facts(separability={"value": 1.0, "interval": (0.99, 1)}), "100\u202f%"),
    (gap.separable, facts(separability={"value": 0.52, "interval": (0.47, 0.57)}), "distinguish"),
    (gap.shift_share, facts(centroid_share=0.66), "removes 66\u202f%"),
    (gap.dimensions, held(0.69), "98 alone (of 100, counted from 0) account for 69"),
    (gap.dimensions, held(0.2), "The 10 dimensions whose means differ most account for 80"),
    (gap.dimensions, held(0.9, width=3), None),
    (gap.spread, facts(trace_ratio=0.97), None),
    (gap.spread, facts(trace_ratio=0.5), "variance of the texts is 2.00 times that of the images"),
    (gap.cones, facts(names=("image",), cone_image=0.53), "narrow cone"),
    (gap.cones, facts(names=("image",), cone_image=0.01), "most of the sphere"),
    (gap.cones, facts(cone_image=0.53), None),
    (
        gap.rank,
        facts(pair={"dim": 512}, effective_rank_image=105, effective_rank_text=97),
        "the images use about 105 and the texts use about 97",
    ),
    (use.cosines, facts(cosines=cosine_view(), **MATCHED), "Two unrelated items of one modality"),
    (use.cosines, facts(cosines=cosine_view(), **{**MATCHED, "matched_cosine": 0.9}), "0.52."),
    (use.cosines, facts(**MATCHED), None),
    (use.ranking, facts(cosines=cosine_view()), "in 99\u202f% of cases"),
    (use.ranking, facts(cosines=cosine_view(0.51)), "in only 51\u202f%"),
    (
        use.neighbours,
        facts(nas={"value": 0.25, "params": {"k": 10}, "details": {"chance": 0.02}}),
        "An image and its own text share 25\u202f% of their 10 nearest",
    ),
    (use.mixed, mixing(0, 0), "the first result always has the modality of the query"),
    (use.mixed, mixing(0.002, 0), "the first result almost always has"),
    (use.mixed, mixing(0.2, 0.1), "20\u202f% of image queries find a text first"),
    (use.hubs, facts(hubness_image={"value": 0.5}), None),
    (
        use.hubs,
        facts(hubness_text={"value": 2.3, "params": {"k": 10}, "details": {"largest": 72}}),
        "one text is among the 10 nearest of 72 others",
    ),
    (use.predictions, facts(prediction_gini={"value": 0.5, "details": {"labels": 0.1}}), "few"),
    (use.predictions, facts(prediction_gini={"value": 0.1, "details": {"labels": 0.1}}), "as the"),
    (
        use.bias,
        facts(moad_image=0.51, moad_text=0.47),
        "Cosines between images (MOAD 0.51) and between texts (MOAD 0.47) depend more on the object"
        " than on the attributes.",
    ),
    (
        use.bias,
        facts(moad_image=0.2, moad_text=-0.1),
        "Cosines between images (MOAD 0.20) depend more on the object than on the attributes;"
        " cosines between texts (MOAD −0.10) depend more on the attributes than on the object.",
    ),
    (
        use.bias,
        facts(moad_image=-0.2, moad_text=-0.1),
        "and between texts (MOAD −0.10) depend more on the attributes than on the object.",
    ),
    (
        use.bias,
        facts(names=("image",), moad_image={"value": 0.01, "interval": (-0.01, 0.03)}),
        "Cosines between images (MOAD 0.010) depend about equally on the object and on the",
    ),
    (use.bias, facts(moad_text=0), "between texts (MOAD 0) depend about equally"),
    (use.bias, facts(), None),
    (closing.leakage, leak(0.6, 0.59), "not orthogonal to the content"),
    (closing.leakage, leak(0.3, 0.3), "less than chance"),
    (closing.leakage, leak(0.05, 0.05), "nearly orthogonal"),
    (closing.class_bias, facts(class_bias_spread=0.048), "deviation 0.048"),
    (closing.class_bias, facts(cosines=cosine_view(), class_bias_spread=0.048), "0.15 apart"),
    (closing.loss, lowest(0.8, 0.8), "lowest at the present gap"),
    (closing.loss, lowest(0.4, 0.4), "a smaller gap than the present 0.80 (loss 1.00; now 1.16)"),
    (closing.loss, lowest(1.2, 1.2), "a larger gap"),
    (closing.loss, lowest(0.75, -0.8), "shifted past each other"),
    (closing.loss, lowest(0.8, 0.8), "= 10 it would be lowest at 0."),
    (closing.not_unit, facts(pair=UNIT), "the images (norms 2.00 to 3.00)"),
    (closing.not_unit, facts(pair=UNIT | {"norms": {"image": [2, 2]}}), "(norms 2.00)"),
    (closing.not_unit, facts(pair={"were_unit": {"image": True}}), None),
    (closing.few_rows, facts(pair={"n_image": 5, "n_text": 9, "dim": 4}, frechet=1), "5 rows"),
    (closing.few_rows, facts(pair={"n_image": 50, "n_text": 90, "dim": 4}, frechet=1), None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "given", "expected"), CASES)
def test_rule(rule: Any, given: Facts, expected: str | None) -> None:
    said = rule(given)
    if expected is None:
        assert said is None
    else:
        assert expected in said.replace("\u2060", "").replace("\u00a0", " ")
        assert said.endswith(".")


def test_every_rule_has_a_case_in_which_it_speaks() -> None:
    rules = {rule for members in TOPICS.values() for rule in members}
    assert rules == {rule for rule, _, expected in CASES if expected is not None}


def test_nothing_measured_nothing_said() -> None:
    nothing = facts()
    assert summary(nothing.result, nothing.views) == []


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1, "100"),
        (0, "0"),
        (0.9999, "over 99.9"),
        (1e-5, "under 0.1"),
        (0.663, "66"),
        (0.034, "3.4"),
    ],
)
def test_percent_never_rounds_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == f"{text}\u202f%"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.8514, "0.85"), (0.0437, "0.044"), (-0.5, "−0.50"), (19.4, "19"), (1234, "1,234")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_names_are_printable_and_short() -> None:
    assert plural("image") == "images"
    assert plural("a\x00b\nc") == "a·b·c items"
    assert len(plural("x" * 99)) == 24 + len(" items")
