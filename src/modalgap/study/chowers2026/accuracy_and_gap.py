"""Accuracy and the gap: accuracy alone does not show whether a gap is good or bad.

Each model is evaluated on several tasks without a shift, and with images and texts shifted along
the gap (closer ``shift``): α = 0 is the open gap, 1 the closed gap, a negative α widens the gap.
Source: Chowers et al. 2026, figures 1 and 2.
Expected: the accuracy is not monotone in the shift, its best shift differs by task, and a model
with a smaller gap does not always have a higher accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import fit
from modalgap.embeddings import Pair, joined
from modalgap.errors import OptionError
from modalgap.evaluate.perturb import exact
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Curves, Part, Reference, Scatter
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import features
from modalgap.study.base import Study
from modalgap.study.chowers2026.queries import QUERIES, Queries
from modalgap.study.embedded import classes, files, paired, planned, stem
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order
from modalgap.trace import traced

EMBEDDED = ("full", "short")
TASKS = {"object": "digits", "colour": "colours", "scale": "sizes", "thickness": "thickness"}
ALPHAS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
ALL = "all tasks"
HEADS = {
    "gap": "distance of means",
    "accuracy": "top-1, open",
    "closed": "top-1, closed",
    "widest": "top-1, smallest α",
    "farthest": "top-1, largest α",
    "best": "best top-1",
    "best_alpha": "α of the best top-1",
    "best_low": "smallest equally good α",
    "best_high": "largest equally good α",
    "spread": "distance of two ranges of equally good α",
    "against": "share: smaller gap, lower top-1",
}
CARD = Card(
    name="accuracy_and_gap",
    title="Accuracy and the gap",
    idea="Compares gap and accuracy over models and tasks, and shifts modalities along the gap.",
    source="Chowers et al. 2026, figures 1 and 2",
    question="Does the accuracy show whether a gap is good or bad?",
)


@checked
def plan(*, pair: checks.Several[str | Path] = "", alphas: checks.Several[float] = ALPHAS) -> Plan:
    """Plan the shifts.

    Args:
        pair: one or several files of images with class prompts, or with captions, with names of the
            form MODEL_TASK; by default class sets of the embedded models of full and of short
            captions.
        alphas: shifts; 0 is the open gap, 1 the closed gap. Both must be among them.

    Raises:
        OptionError: a value outside its range, or two files of the same name.
    """
    alphas = [float(alpha) for alpha in _numbers(alphas)]
    if not {0.0, 1.0} <= set(alphas) or len(set(alphas)) < len(alphas):
        raise OptionError(f"alphas must be different, with 0 and 1 among them; got {alphas}")
    own: dict[str, Any] = {"alphas": sorted(alphas)}
    chosen = files("pair", pair, empty=False)
    if not chosen:
        settings, models = planned("", *EMBEDDED)
        return Plan(settings=settings | own, models=models)
    checks.distinct("pair", [stem(file, ALL) for file in chosen])
    found = [paired(file).fingerprint for file in chosen]
    return Plan(settings=own | {"pair": chosen, "fingerprint": found})


def _numbers(alphas: checks.Several[float]) -> list[float]:
    """The shifts, each within its range."""
    found = checks.several("alphas", alphas)
    for alpha in found:
        checks.at_least("alphas", alpha, -100.0, 100.0)
    return found


def run(work: Work) -> Table:
    """Shift every pair along its gap."""
    settings = work.settings
    if "pair" in settings:
        sets = {stem(file): paired(file) for file in settings["pair"]}
        tasks = {name: name.rpartition("_")[2] for name in sets}
    else:
        sets, tasks = {}, {}
        for model in EMBEDDED:
            found = classes(work, model)
            for factor, task in TASKS.items():
                sets[f"{task}, {model}"] = found[factor]
                tasks[f"{task}, {model}"] = task
    rows = {}
    with progress("moving along the gap", len(sets)) as advance:
        for name, pair in sets.items():
            rows[name] = shifted(pair, settings["alphas"])
            advance(1)
    rows[ALL] = compared(rows, tasks)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="task and model",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            f"top-1 by cosine of at most {QUERIES:,} images; interval: 95 %, over images",
            "best: the shift is chosen on the same images, so its top-1 is optimistic",
            "equally good: around the best α, all shifts whose top-1 is within the 95 % interval of"
            " the best top-1; on a flat curve, the best α itself is noise",
            "distance of two ranges: the largest distance between the ranges of two tasks or"
            " models; if it is negative, all ranges have a shift in common",
            "share: of the pairs of models on one task, those in which the model with the smaller"
            " gap has the lower top-1",
        ],
    )


def shifted(pair: Pair, alphas: Sequence[float]) -> dict[str, Value]:
    """Gap, and accuracy over the shifts, of one pair."""
    pair = joined(pair).pair
    scores = []
    for alpha in alphas:
        moved = pair if alpha == 0 else fit(pair, "shift", alpha=float(alpha)).apply(pair)
        queries = Queries(moved, 0)
        scores.append(queries.right([exact(queries.images, queries.stored)]))
    values = [each.value for each in scores]
    start, best = list(alphas).index(0.0), int(np.argmax(values))
    return {
        "gap": Value(measure(pair, ["l2m"])["l2m"].value),
        "accuracy": traced(values[start], alphas, values, scores[start].interval(0)),
        "closed": Value(values[list(alphas).index(1.0)]),
        "widest": Value(values[0]),
        "farthest": Value(values[-1]),
        "best": Value(values[best]),
        "best_alpha": Value(float(alphas[best])),
        **_as_good(alphas, values, best, scores[best].interval(0)),
    }


def _as_good(
    alphas: Sequence[float],
    values: Sequence[float],
    best: int,
    interval: tuple[float, float] | None,
) -> dict[str, Value]:
    """The range of shifts around the best one whose accuracy is within its interval."""
    least = values[best] if interval is None else interval[0]
    low = high = best
    while low > 0 and values[low - 1] >= least:
        low -= 1
    while high < len(values) - 1 and values[high + 1] >= least:
        high += 1
    return {"best_low": Value(float(alphas[low])), "best_high": Value(float(alphas[high]))}


def compared(rows: Mapping[str, Mapping[str, Value]], tasks: Mapping[str, str]) -> dict[str, Value]:
    """Numbers over all tasks.

    Args:
        rows: name to the row of ``shifted``.
        tasks: name to task; models are compared within a task.
    """
    several = len(set(tasks.values())) > 1
    lows, highs = ([row[f"best_{end}"].value for row in rows.values()] for end in ("low", "high"))
    result = {"spread": Value(max(lows) - min(highs))} if several else {}
    signs = [
        _sign(rows[a]["gap"], rows[b]["gap"]) * _sign(rows[a]["accuracy"], rows[b]["accuracy"])
        for a, b in combinations(rows, 2)
        if tasks[a] == tasks[b]
    ]
    against = [sign > 0 for sign in signs if sign]  # ties say nothing
    if against:
        result["against"] = Value(float(np.mean(against)), details={"pairs": len(against)})
    return result


def _sign(a: Value, b: Value) -> float:
    return float(np.sign(a.value - b.value))


def _told(table: Table) -> str:
    row = table.rows[ALL]
    text = ""
    if "spread" in row:
        apart = row["spread"].value
        text = (
            "On a flat curve, the best shift is noise. All shifts whose accuracy is within the 95 %"
            " interval of the best one count as equally good. "
        ) + (
            f"The ranges of equally good shifts of two curves are up to {apart:g} apart: no shift"
            " is best for all."
            if apart > 0
            else "These ranges have a shift in common: it is as good as the best one for all."
        )
    if "against" in row:
        text += (
            " If two models are compared on one task, the one with the smaller gap is less"
            f" accurate in {row['against'].value:.0%} of"
            f" {row['against'].details['pairs']} cases."
        )
    return text


def _curves(title: str, match: str) -> Curves:
    marks = (Reference(at=0.0, axis="x", label="open"), Reference(at=1.0, axis="x", label="closed"))
    return Curves(title=title, trace="accuracy", match=match, ylabel="top-1",
                  xlabel="α (0: open gap, 1: closed gap)",
                  caption="One curve per task; higher is better. A flat curve has no best shift.",
                  zero=False, limits=(None, 1.02), references=marks)  # fmt: skip


PARTS = (
    Part(
        head="Models and tasks",
        words=(
            "A class is predicted by the nearest class prompt (by cosine); top-1 is the share of"
            " correct predictions. The first figure has one point per model and task, without a"
            " shift. In the other figures, images and texts move along the line between their"
            " means, by α times the gap in total: a negative α widens the gap, α > 1 exchanges the"
            " sides of the two modalities.",
            _told,
        ),
        panels=(
            Scatter(title="Gap and accuracy", x="gap", y="accuracy", named=True,
                    caption="Compare points of one task: a smaller gap can have a lower top-1.",
                    xlabel="distance of means", ylabel="top-1"),
            _curves("Shifted along the gap: full captions", ", full"),
            _curves("Shifted along the gap: short captions", ", short"),
            _curves("Shifted along the gap", "_"),
        ),
        columns=2,
    ),
)  # fmt: skip
NOTE = "other data and models: only the direction is compared"
WHERE = "Chowers et al. 2026, figures 1 and 2"
NAMES = tuple(f"{task}, short" for task in TASKS.values())
PUBLISHED = (
    Order(
        claim="The best shift differs by task: the ranges of equally good shifts do not overlap",
        where=WHERE,
        larger=(ALL, "spread"),
        smaller=0.0,
        note=NOTE,
        needs="several tasks",
    ),
    Order(
        claim="In some pairs of models, the one with the smaller gap has the lower accuracy",
        where=WHERE,
        larger=(ALL, "against"),
        smaller=0.0,
        note=NOTE,
        needs="several models on one task",
    ),
    *(
        Number(
            claim=f"CLIP ViT-B/16 on 500 pairs of COCO, {words} gap: R@1 is {value:g}",
            where="a separate computation of modalgap on the same features",
            against="reference",
            cell=(features.COCO, column),
            value=value,
            tolerance=0.002,
            needs=features.NEEDS,
        )
        for column, words, value in (
            ("accuracy", "open", 0.552),
            ("closed", "closed", 0.358),
        )
    ),
    *(
        Order(
            claim=f"The accuracy at the best shift is higher than {words} ({name})",
            where=WHERE,
            larger=(name, "best"),
            smaller=(name, end),
            margin=0.005,
            published="the first is larger",
            note=NOTE,
            needs="the embedded class sets; run the study without the option pair",
            why="the accuracy of this task hardly changes with the shift",
        )
        for name in NAMES
        for end, words in (
            ("widest", "at the widest gap"),
            ("farthest", "far beyond the closed gap"),
        )
    ),
)
MODELS = {
    "ViT-B-16": "open_clip:ViT-B-16/openai",
    "ViT-L-14": "open_clip:ViT-L-14/openai",
    "SigLIP": "open_clip:ViT-B-16-SigLIP/webli",
    "MetaCLIP": "open_clip:ViT-B-16-quickgelu/metaclip_fullcc",
}
FILES = {f"{name}_{data}.safetensors": (data, model)
         for data in ("cifar10", "cifar100") for name, model in MODELS.items()}  # fmt: skip
REAL = (
    *(f"modalgap encode {data} --model {model} -o {file}" for file, (data, model) in FILES.items()),
    f"modalgap study accuracy_and_gap -o accuracy_and_gap --set pair={','.join(FILES)}",
    *features.FETCH,
    f"modalgap study accuracy_and_gap -o accuracy_and_gap_500 --set pair={features.COCO}.npy",
)
accuracy_and_gap = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    extras=("train", *TRAIN),
    real=REAL,
)
