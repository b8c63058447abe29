"""Gap and performance over many models: are models with a larger gap better or worse?

For every measure of performance, the study computes Kendall's τ over models with the size of the
gap, and with other facts that differ between models: parameters, width, and the amount of training
data. It then computes the same for models with equal training data.
Source: Schrodi et al. 2025, section 3, figure 3, tables 1 and 3.
Expected: over pretrained models, τ with the gap is positive, but smaller than τ with the size of
the model and of the data, which are confounders. Within equal training data it is mostly negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import several
from modalgap.errors import InputError, OptionError, quoted
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference, Scatter
from modalgap.result import Table, Value
from modalgap.study import embedded_zoo
from modalgap.study.base import Study
from modalgap.study.correlation import LEAST, NOTE, tau
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.zoo import Zoo

GAPS = {"rmg": "RMG", "l2m": "distance of means"}
FACTS = {
    "parameters": "parameters",
    "width": "width",
    "training_pairs": "training pairs",
    "samples_seen": "samples seen",
}
PERFORMANCE = {
    "retrieval.image_to_text_r1": "R@1, image to text",
    "retrieval.text_to_image_r1": "R@1, text to image",
    "zero_shot.top1": "top-1",
}
MEDIUM = 140.0  # million pairs: models of larger training sets are "large"
MEDIUM_SETS = f" | up to {MEDIUM:g} million pairs"
LARGE_SETS = f" | over {MEDIUM:g} million pairs"
MOST_SETS = 4  # training sets that have a row of their own
CARD = Card(
    name="gap_and_performance",
    title="Gap and performance over many models",
    idea="Correlates the gap of many models with their performance, size and training data.",
    source="Schrodi et al. 2025, section 3, figure 3, tables 1 and 3",
    question="Do models with a smaller gap perform better?",
    traits=("random",),
)


@checked
def plan(*, zoo: str | Path = "", performance: Sequence[str] = (), emoji: bool = False) -> Plan:
    """Plan the comparison of the models of a zoo.

    Args:
        zoo: a folder made by ``modalgap zoo``; by default twelve small models trained on MAD.
        performance: the measures of performance, as "DATA: NUMBER", for example "coco:
            retrieval.image_to_text_r1"; by default R@1 and top-1 on every data set.
        emoji: whether to add seven models that are trained on the data set emoji.

    Raises:
        OptionError: a name without a data set, or emoji is given with a zoo.
        MissingData: the data set emoji is not there.
        FileError: the folder has no results of a zoo.
    """
    chosen = several("performance", performance)
    for each in chosen:
        if not isinstance(each, str) or ": " not in each:
            raise OptionError(f'performance must be "DATA: NUMBER"; got {quoted(each)}')
    settings, models = embedded_zoo.planned(zoo, emoji=emoji)
    return Plan(settings={**settings, "performance": chosen}, models=models)


def run(work: Work) -> Table:
    """Correlate each measure of performance with the gap and with the facts of the models."""
    zoo = embedded_zoo.zoo_of(work)
    rows: dict[str, dict[str, Value]] = {}
    left: list[str] = []
    for data, number in _performance(zoo, work.settings["performance"]):
        title = f"{data}, {PERFORMANCE.get(number, number)}"
        for group, models in _groups(zoo, list(zoo.column(data, number))).items():
            if len(models) < LEAST:
                left.append(f"{title}{group}")
            else:
                rows[f"{title}{group}"] = _row(zoo, data, number, models)
    if not rows:
        raise InputError(
            f"zoo must have at least {LEAST} models with the same measure of performance; found"
            " fewer"
        )
    facts = {
        name: head for name, head in FACTS.items() if any(name in row for row in rows.values())
    }
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="measure of performance, and models",
        rows=rows,
        heads={
            "models": "models",
            **{f"tau_{name}": f"τ with {head}" for name, head in GAPS.items()},
            **{f"p_{name}": f"p, {head}" for name, head in GAPS.items()},
            **{name: f"τ with {head}" for name, head in facts.items()},
        },
        settings=work.settings,
        notes=[
            NOTE,
            *(
                [f"not computed, fewer than {LEAST} models: {'; '.join(left)}"]
                if left
                else []
            ),
            *(f"failed: {model} on {data}: {reason}" for model, data, reason in zoo.failed),
        ],
    )  # fmt: skip


def _performance(zoo: Zoo, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """(data, number) of each measure of performance."""
    if chosen:
        found = []
        for each in chosen:
            data, _, number = each.rpartition(": ")
            zoo.column(data, number)  # refuses unknown names
            found.append((data, number))
        return found
    return [
        (data, number)
        for data in zoo.data
        for number in PERFORMANCE
        if any(number in sets.get(data, {}) for sets in zoo.values.values())
    ]


def by_size(zoo: Zoo, models: Sequence[str]) -> dict[str, list[str]]:
    """All models; and both classes by the size of their training data, if models are in both.

    Args:
        zoo: the models with their facts.
        models: the models to group.

    Returns:
        The end of the name of a row to its models; it is "" for all models.
    """
    groups = {"": list(models)}
    size = {
        model: float(facts["training_pairs"])
        for model in models
        if isinstance((facts := zoo.models[model]).get("training_pairs"), int | float)
    }
    classes = {
        MEDIUM_SETS: [model for model, pairs in size.items() if pairs <= MEDIUM],
        LARGE_SETS: [model for model, pairs in size.items() if pairs > MEDIUM],
    }
    return groups | classes if all(classes.values()) else groups


def _groups(zoo: Zoo, models: Sequence[str]) -> dict[str, list[str]]:
    """All models; by the size of their training data; and of the commonest training sets."""
    groups = by_size(zoo, models)
    sets: dict[str, list[str]] = {}
    for model in models:
        sets.setdefault(str(zoo.models[model].get("training_data", "")), []).append(model)
    sets.pop("", None)
    if len(sets) > 1:
        common = sorted(sets, key=lambda name: -len(sets[name]))[:MOST_SETS]
        groups |= {f" | {name}": sets[name] for name in common}
    return groups


def _row(zoo: Zoo, data: str, number: str, models: Sequence[str]) -> dict[str, Value]:
    """τ of one measure of performance with the gap on the same data, and with the facts."""
    y = {model: zoo.values[model][data][number].value for model in models}
    row = {"models": Value(float(len(models)))}
    for gap in GAPS:
        x = {model: found for model in models if (found := _gap(zoo, model, data, gap)) is not None}
        if len(x) >= LEAST:
            value = tau(list(x.values()), [y[model] for model in x])
            row[f"tau_{gap}"] = value
            row[f"p_{gap}"] = Value(value.details["p"])
    for fact in FACTS:
        known = {m: float(zoo.models[m][fact]) for m in models if fact in zoo.models[m]}
        if len(known) >= LEAST and len(set(known.values())) > 1:
            row[fact] = tau(list(known.values()), [y[model] for model in known])
    return row


def _gap(zoo: Zoo, model: str, data: str, gap: str) -> float | None:
    """The gap of a model on the data, or on its first data set with a gap."""
    sets = zoo.values[model]
    for name in (data, *sets):
        if gap in sets.get(name, {}):
            return sets[name][gap].value
    return None


PARTS = (
    Part(
        head="Over all models",
        words=(
            "Each bar is a rank correlation over models: between a measure of performance and the"
            " gap, or between performance and another fact about the models. Above 0, models with a"
            " larger gap perform better. A correlation is not a cause: the amount of training data"
            " and the number of parameters may change both the gap and the performance.",
        ),
        panels=(
            Bars(
                title="Rank correlation with the gap",
                caption="Kendall's τ. Black lines: 95 % intervals over models.",
                ys={f"tau_{name}": head for name, head in GAPS.items()},
                xlabel="τ",
                references=(Reference(at=0, axis="x"),),
            ),
            Bars(
                title="Rank correlation with other facts",
                caption="Kendall's τ with the size of the models and the amount of their training.",
                ys=FACTS,
                xlabel="τ",
                references=(Reference(at=0, axis="x"),),
            ),
            Scatter(
                title="Each model",
                caption="One point per model and measure of performance. Lower right: large gap,"
                " low performance.",
                trace="tau_rmg",
                xlabel="RMG",
                ylabel="performance",
            ),
        ),
    ),
)
WHERE, TABLE_3 = "Schrodi et al. 2025, table 1", "Schrodi et al. 2025, table 3"
NEEDS = "a zoo of the models of open_clip on COCO and ImageNet: see the commands on its page"
OTHER = "models trained on MAD: only the direction is compared"
WHY = (
    "the models of this zoo differ in captions and training, not in the scale of the data: models"
    " that learn more from their captions have a smaller gap"
)


def _published() -> list[Published]:
    paper = [("coco", "R@1, image to text"), ("coco", "R@1, text to image"), ("imagenet", "top-1")]
    result: list[Published] = []
    for data, head in paper:
        row = f"{data}, {head}"
        result += [
            Order(
                claim=f"Models with a larger gap perform better: {row}",
                where=WHERE,
                larger=(row, "tau_rmg"),
                smaller=0.0,
                needs=NEEDS,
            ),
            Order(
                claim="Performance correlates more with the number of parameters than with the"
                f" gap: {row}",
                where=WHERE,
                larger=(row, "parameters"),
                smaller=(row, "tau_rmg"),
                needs=NEEDS,
            ),
        ]
    row = f"{embedded_zoo.OBJECTS}, top-1"
    result += [
        Order(
            claim="Models with a larger gap perform better: digits of MAD",
            where=WHERE,
            larger=(row, "tau_rmg"),
            smaller=0.0,
            note=OTHER,
            why=WHY,
        ),
        *(
            Order(
                claim=f"Within one training set, {data}, models with a larger RMG have a lower R@1",
                where=TABLE_3,
                larger=0.0,
                smaller=(f"{data}, R@1, image to text", "tau_rmg"),
                needs=needs,
                note=f"models trained on {data}: only the direction is compared",
            )
            for data, needs in (
                (embedded_zoo.PAIRS, "the embedded models: run the study without the option zoo"),
                ("emoji", "the data set emoji and the option emoji=true"),
            )
        ),
        Order(
            claim="Within LAION-2B, models with a larger RMG have a lower R@1 on COCO",
            where=TABLE_3,
            larger=0.0,
            smaller=("coco, R@1, image to text | LAION-2B", "tau_rmg"),
            needs=NEEDS,
        ),
    ]
    return result


gap_and_performance = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=12,
    extras=("train", *TRAIN),
    real=(
        "modalgap zoo -m 'open_clip:*' -d coco -d imagenet -o zoo --measures l2m,rmg --disk 20",
        "modalgap study gap_and_performance -o gap_and_performance --set zoo=zoo",
    ),
)
