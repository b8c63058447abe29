"""Harmful predictions for each group of images, before and after a shift of the images.

The class prompts contain harmful ones (words of crime, animals) besides those of people. Only the
images move, by -δ along the unit gap, and are normalised; δ < 0 widens the gap. For each group of
images the study reports the fraction that is predicted as a harmful prompt (task ``fairness``), and
the accuracy.
The embedded data have no people: digits stand for people, colours for groups, and prompts of other
attributes for harmful prompts. This tests the protocol and says nothing about fairness.
Source: Liang et al. 2022, section 5.2 and table 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, one_of, several, whole
from modalgap.close import fit
from modalgap.data.mad import FACTORS
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import InputError, OptionError, quoted
from modalgap.evaluate import fairness
from modalgap.extras import TRAIN
from modalgap.panels import Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.liang2022.shifted import signed_distance
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published
from modalgap.trace import traced

CARD = Card(
    name="fairness_shift",
    title="Harmful predictions against the gap",
    idea="Shifts images along the gap; counts harmful zero-shot predictions for each group.",
    source="Liang et al. 2022, section 5.2, table 2",
    question="Does another gap reduce harmful predictions, and what does it cost in accuracy?",
    traits=("random",),
)
SHIFTS = (0.0, -0.2, -0.5, -1.0, 0.75)
STAND_INS = ("thickness", "scale")  # factors of MAD whose prompts stand for harmful ones
EVERY, DIFFERENCE, ACCURACY, DISTANCE = "all", "largest difference", "accuracy", "distance of means"


@checked
def plan(
    *,
    classes: str = "",
    group: str = "",
    kind: str = "kind",
    direction: str = "",
    shifts: Several[float] = SHIFTS,
    seed: int = 0,
) -> Plan:
    """Plan the shifts.

    Args:
        classes: file of images, class prompts and labels; by default digits of MAD, with prompts of
            other attributes in place of harmful prompts.
        group: the factor of the images whose values are the groups; by default "race", and "colour"
            for MAD.
        kind: the factor of the prompts with their kind. Kinds that no image is labelled with are
            harmful.
        direction: file of image features and captions, whose gap is the direction of the shift; by
            default the gap between the images and prompts themselves.
        shifts: values of δ; 0 is always added.
        seed: seed of the intervals.

    Raises:
        OptionError: a value outside its range, or a factor that the file does not have.
        InputError: a file without labels or without harmful prompts.
    """
    whole("seed", seed, 0)
    deltas = [float(each) for each in several("shifts", shifts)]
    for each in deltas:
        at_least("shifts", each, -1e3, 1e3)
    distinct("shifts", [f"{each:g}" for each in deltas])
    deltas = sorted({0.0, *deltas})
    settings, models = ({"classes": classes}, {}) if classes else embedded.planned("", "full")
    group = group or ("race" if classes else "colour")
    prints = {}
    if not classes:
        one_of("group", group, tuple("object" if each == "digit" else each for each in FACTORS))
    else:
        pair = embedded.paired(classes)
        harmful_of(pair, kind, classes)
        if group not in pair.image.factors or len(set(pair.image.factors[group])) < 2:
            known = ", ".join(sorted(pair.image.factors)) or "none"
            raise OptionError(
                f"group must be a factor of the images in {classes} with two values or more;"
                f" got {quoted(group)}, known: {known}"
            )
        prints["classes"] = pair.fingerprint
        if direction and embedded.paired(direction).dim != pair.dim:
            raise InputError(
                f"{direction}: has {embedded.paired(direction).dim} columns; {classes} has"
                f" {pair.dim}"
            )
    if direction:
        prints["direction"] = embedded.paired(direction).fingerprint
    own = {
        "group": group,
        "kind": kind,
        "direction": direction,
        "shifts": deltas,
        "seed": seed,
        "fingerprints": prints,
    }
    return Plan(settings={**settings, **own}, models=models)


def run(work: Work) -> Table:
    """Classify at every shift."""
    settings = work.settings
    name, pair = _set(work)
    along = embedded.paired(settings["direction"]) if settings["direction"] else pair
    harmful = harmful_of(pair, settings["kind"], name)
    columns: dict[str, dict[float, dict[str, Value]]] = {}  # row to δ to column to value
    with progress("shifting", len(settings["shifts"])) as advance:
        for delta in settings["shifts"]:
            found = harm_at(pair, along, delta, harmful, settings["group"], settings["seed"])
            for row, values in found.items():
                columns.setdefault(row, {})[delta] = values
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary=settings["group"],
        rows={f"{name}, {row}": _row(row, found) for row, found in columns.items()},
        heads={head_of(delta): head_of(delta) for delta in settings["shifts"]},
        settings=settings,
        notes=[
            f"row of a {settings['group']}: fraction of its images that are predicted as one of"
            f" {sum(map(len, harmful.values()))} harmful prompts ({', '.join(harmful)})",
            "images move by -δ along the unit vector from texts to images; δ < 0 widens the gap",
            "intervals: 95 %, bootstrap over images",
            *(
                ["harmful prompts are stand-ins: words of other attributes of the digits"]
                if "embedded" in settings
                else []
            ),
        ],
    )


def _set(work: Work) -> tuple[str, Pair]:
    """The set and its name; of MAD, digits with prompts of other factors as stand-ins."""
    if "embedded" not in work.settings:
        return embedded.stem(work.settings["classes"]), embedded.paired(work.settings["classes"])
    return "MAD", stand_ins(embedded.classes(work, "full"), work.settings["kind"])


def stand_ins(found: Mapping[str, Pair], kind: str) -> Pair:
    """Digits with prompts of other factors in place of harmful prompts.

    Args:
        found: factor to the images, the prompts of its values, and the labels.
        kind: the factor of the prompts that names their kind.
    """
    digits = found["object"]
    rows = [digits.text.unit(), *(found[each].text.unit() for each in STAND_INS)]
    names = [f"object {each}" for each in digits.text.names or ()]
    kinds = ["object"] * digits.text.n
    for each in STAND_INS:
        names += [f"{each} {value}" for value in found[each].text.names or ()]
        kinds += [each] * found[each].text.n
    text = Embeddings(torch.cat(rows), "text", names=names, factors={kind: kinds})
    return Pair(digits.image, text, labels=digits.labels)


def harmful_of(pair: Pair, kind: str, file: str) -> dict[str, list[int]]:
    """Harmful kind to its prompts, by row number: the kinds that no image is labelled with.

    Raises:
        InputError: no labels, or no harmful prompts.
        OptionError: prompts without the factor.
    """
    if pair.labels is None:
        raise InputError(f"{file}: must hold class prompts and labels of the images")
    if kind not in pair.text.factors:
        known = ", ".join(sorted(pair.text.factors)) or "none"
        raise OptionError(
            f"kind must be a factor of the prompts in {file}; got {quoted(kind)}, known: {known}"
        )
    kinds = np.asarray(pair.text.factors[kind]).astype(str)
    proper = set(kinds[np.unique(pair.labels)])
    found = {
        each: np.flatnonzero(kinds == each).tolist() for each in dict.fromkeys(kinds.tolist())
        if each not in proper
    }  # fmt: skip
    if not found:
        raise InputError(f"{file}: must have prompts of a {kind} that no image is labelled with")
    return found


def harm_at(
    pair: Pair,
    along: Pair,
    delta: float,
    harmful: Mapping[str, list[int]],
    group: str,
    seed: int,
) -> dict[str, dict[str, Value]]:
    """Row to column to value at one shift: all harmful prompts together, and each kind of them."""
    map_ = fit(along, "shift", side=along.image.modality, length=delta)
    shifted = map_.apply(pair)
    every = [row for rows in harmful.values() for row in rows]
    result: dict[str, dict[str, Value]] = {}
    for column, rows in {head_of(delta): every, **_by_kind(harmful, delta)}.items():
        scores = fairness.outcome(shifted, {"group": group, "harmful": rows}).scores
        for key, score in scores.items():
            total = column == head_of(delta)
            if total or key != "accuracy":  # accuracy does not depend on the kind
                value = Value(score.value, score.interval(seed) if total else None)
                result.setdefault(_row_name(key), {})[column] = value
    sides = map_.apply(along).sides
    image, text = (side.unit().double().numpy() for side in sides)
    distance = abs(signed_distance(image, text, along))
    result[DISTANCE] = {head_of(delta): Value(distance)}
    return result


def _by_kind(harmful: Mapping[str, list[int]], delta: float) -> dict[str, list[int]]:
    return {f"{kind}, {head_of(delta)}": rows for kind, rows in harmful.items()}


def head_of(delta: float) -> str:
    """The column of a shift."""
    return f"δ = {delta:g}"


def _row_name(score: str) -> str:
    known = {"harmful": EVERY, "largest_difference": DIFFERENCE, "accuracy": ACCURACY}
    group = score.removeprefix("harmful_")
    taken = group in (*known.values(), DISTANCE)
    return known.get(score, f"group {group}" if taken else group)


def _row(row: str, found: Mapping[float, Mapping[str, Value]]) -> dict[str, Value]:
    """All columns of a row, with its curve over δ in the column of the panel that shows it."""
    values = {name: value for each in found.values() for name, value in each.items()}
    panel = {DIFFERENCE: "", DISTANCE: "", ACCURACY: "accuracy"}.get(row, "harmful")
    if panel:
        totals = [found[delta][head_of(delta)].value for delta in found]
        values[panel] = traced(values[head_of(0.0)].value, list(found), totals)
    return values


XLABEL = "δ (< 0: images move away from texts)"
PARTS = (
    Part(
        head="Harmful predictions by group",
        words=(
            "Some images are classified as a harmful prompt, although no harmful prompt fits any"
            " image of the set. This happens to some groups more often than to others. Moving the"
            " images along the gap changes these fractions. Compare them with the accuracy: a shift"
            " that lowers harmful predictions may lower the accuracy too, and a shift that lowers"
            " one kind of harmful predictions may raise another kind.",
        ),
        panels=(
            Curves(
                title="Harmful predictions",
                caption="Fraction of the images of each group that are predicted as a harmful"
                " prompt; lower is better. Groups of MAD are colours of the digits; the lines"
                " have other colours.",
                trace="harmful",
                xlabel=XLABEL,
                ylabel="fraction",
            ),
            Curves(
                title="Accuracy",
                caption="Fraction of all images that are predicted as their own class; higher is"
                " better.",
                trace="accuracy",
                xlabel=XLABEL,
                ylabel="accuracy",
                limits=(0.0, 1.0),
            ),
        ),
        columns=2,
    ),
)
WHERE = "Liang et al. 2022, table 2"
FILE = "fairface_b32"
NEEDS = (
    "FairFace encoded by CLIP ViT-B/32, and COCO for the direction; see the commands on its page"
)
TABLE2 = {  # δ to harmful percentages: crime and non-human together
    0.0: (1.1, 15.7, 1.2, 2.9, 6.3, 0.5, 0.6),
    -0.2: (1.0, 13.7, 1.1, 2.0, 5.2, 0.3, 0.6),
    -0.5: (3.6, 17.6, 0.6, 2.0, 5.6, 0.2, 0.3),
    -1.0: (42.4, 47.8, 5.6, 11.6, 21.0, 2.2, 2.5),
    0.75: (2.3, 23.7, 3.2, 11.9, 16.9, 3.7, 5.6),
}
RACES = ("Black", "White", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian",
         "East Asian")  # fmt: skip
ACCURACIES = {0.0: 0.5817, -0.2: 0.5739, -0.5: 0.537, -1.0: 0.408, 0.75: 0.560}
PUBLISHED: list[Published] = [
    Number(
        claim=f"{_percent:g} % of {_race.replace('_', ' or ')} faces are predicted as harmful at δ"
        f" = {_delta:g}",
        where=WHERE,
        needs=NEEDS,
        cell=(f"{FILE}, {_race}", head_of(_delta)),
        value=_percent / 100,
        tolerance=0.005,
    )
    for _delta, _percents in TABLE2.items()
    for _race, _percent in zip(RACES, _percents, strict=True)
]
PUBLISHED += [
    Number(
        claim=f"The accuracy is {_value:g} at δ = {_delta:g}",
        where=WHERE,
        note="from the authors' notebook; in the text of the paper, accuracy falls by 0.0008"
        if _delta == -0.2
        else "",
        needs=NEEDS,
        cell=(f"{FILE}, {ACCURACY}", head_of(_delta)),
        value=_value,
        tolerance=0.005,
    )
    for _delta, _value in ACCURACIES.items()
]
CLAIMS = (  # claim, row, δ of the larger number, δ of the smaller number, whether MAD can tell
    ("δ = -0.2 widens the gap", DISTANCE, -0.2, 0.0, True),
    ("δ = -1 lowers the accuracy", ACCURACY, 0.0, -1.0, True),
    ("δ = -0.2 lowers harmful predictions over all groups", EVERY, 0.0, -0.2, False),
    ("δ = -1 raises harmful predictions over all groups", EVERY, -1.0, 0.0, False),
)
for _claim, _of, _large, _small, _both in CLAIMS:
    for _name in (FILE, "MAD") if _both else (FILE,):
        PUBLISHED.append(
            Order(
                claim=f"{_claim} ({_name})",
                where=WHERE,
                needs=NEEDS if _name == FILE else "",
                note=""
                if _name == FILE
                else "a stand-in without people: only the direction is compared",
                larger=(f"{_name}, {_of}", head_of(_large)),
                smaller=(f"{_name}, {_of}", head_of(_small)),
            )
        )
B32 = "-m open_clip:ViT-B-32/openai"
REAL = (
    f"modalgap encode fairface {B32} -o {FILE}.safetensors",
    f"modalgap encode coco {B32} -o coco_b32.safetensors",
    f"modalgap study fairness_shift -o fairness_shift --set classes={FILE}.safetensors"
    " --set direction=coco_b32.safetensors",
)
fairness_shift = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(PUBLISHED),
    minutes=2,
    extras=("train", *TRAIN),
    real=REAL,
)
