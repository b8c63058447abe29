"""Object bias over many models: do models with a larger bias recognise attributes worse?

For each data set with objects and attributes, Kendall's τ over models is computed between the
accuracy of attributes and the object bias MOAD, of images and of texts; and between the accuracy of
attributes and each measure of performance on objects.
Source: Schrodi et al. 2025, section 5, figure 5.
Expected: the object bias does not correlate with the accuracy of attributes, and is smaller for
models of large training sets. Performance on objects and on attributes correlate.
The code of the paper prints τ over 115 models and plots 101 of them. Here τ is over the models that
are plotted. The code of the paper weights each prompt in the MOAD of texts by its number of images;
modalgap counts each prompt once. For MAD, both weight it by the number of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference, Scatter
from modalgap.result import Table, Value
from modalgap.study import embedded_zoo
from modalgap.study.base import Study
from modalgap.study.correlation import LEAST, NOTE, tau
from modalgap.study.embedded_zoo import TOP1
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.study.schrodi2025.gap_and_performance import (
    LARGE_SETS,
    MEDIUM_SETS,
    PERFORMANCE,
    by_size,
)
from modalgap.zoo import Zoo

BIAS = {"moad_image": "MOAD of images", "moad_text": "MOAD of texts"}
CARD = Card(
    name="object_bias",
    title="Object bias and accuracy of attributes over many models",
    idea="Correlates the accuracy of attributes with object bias and performance on objects.",
    source="Schrodi et al. 2025, section 5, figure 5",
    question="Do models with a larger object bias recognise attributes worse?",
    traits=("random",),
)


@checked
def plan(*, zoo: str | Path = "") -> Plan:
    """Plan the comparison of the models of a zoo.

    Args:
        zoo: a folder made by ``modalgap zoo`` with the measure moad on a data set, such as
            "mit-states", and top-1 on a data set "mit-states attributes", whose classes are the
            attributes; by default twelve small models trained on MAD.

    Raises:
        FileError: the folder has no results of a zoo.
    """
    settings, models = embedded_zoo.planned(zoo)
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """Correlate the accuracy of attributes with the bias and with the performance on objects."""
    zoo = embedded_zoo.zoo_of(work)
    rows: dict[str, dict[str, Value]] = {}
    left: list[str] = []
    for title, data, x in _comparisons(zoo):
        y = {name: cell[TOP1].value for name, cell in zoo.having(_attributes(data), TOP1).items()}
        for group, models in by_size(zoo, [name for name in x if name in y]).items():
            if len(models) < LEAST:
                left.append(f"{title}{group}")
                continue
            xs, ys = [x[name] for name in models], [y[name] for name in models]
            value = tau(xs, ys)
            rows[f"{title}{group}"] = {
                "models": Value(float(len(models))),
                "tau": value,
                "p": Value(value.details["p"]),
                "x": Value(float(np.mean(xs)), (min(xs), max(xs))),
                "y": Value(float(np.mean(ys)), (min(ys), max(ys))),
            }
    if not rows:
        raise InputError(
            f"zoo must have at least {LEAST} models with moad on a data set, such as mit-states,"
            f" and {TOP1} on a data set of its attributes, such as mit-states attributes; found"
            " fewer"
        )
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="x, correlated with accuracy of attributes",
        rows=rows,
        heads={
            "models": "models",
            "tau": "τ",
            "p": "p",
            "x": "mean of x",
            "y": "mean top-1 of attributes",
        },
        settings=work.settings,
        notes=[
            NOTE,
            "x: the MOAD or the performance in the name of the row; the interval of a mean is the"
            " smallest and the largest value over models",
            *([f"not computed, fewer than {LEAST} models: {'; '.join(left)}"] if left else []),
            *(f"failed: {model} on {data}: {reason}" for model, data, reason in zoo.failed),
        ],
    )


def _comparisons(zoo: Zoo) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """(name of the row, data set with MOAD, model to x) of each comparison."""
    biased = [
        data
        for data in zoo.data
        if _attributes(data) in zoo.data and any(zoo.having(data, name) for name in BIAS)
    ]
    own = {name for data in biased for name in (data, _attributes(data))}
    for data in biased:
        for number, words in BIAS.items():
            yield f"{data}, {words}", data, _values(zoo, data, number)
        for other, number in _performance(zoo, own):
            title = f"{data}, performance: {other}, {PERFORMANCE[number]}"
            yield title, data, _values(zoo, other, number)


def _attributes(data: str) -> str:
    """The name of the data set whose classes are the attributes of ``data``."""
    return f"{data} attributes"


def _performance(zoo: Zoo, own: set[str]) -> Sequence[tuple[str, str]]:
    """(data, number) of each measure of performance on objects."""
    others = [data for data in zoo.data if data not in own]
    return [(data, name) for data in others for name in PERFORMANCE if zoo.having(data, name)]


def _values(zoo: Zoo, data: str, number: str) -> dict[str, float]:
    return {name: cell[number].value for name, cell in zoo.having(data, number).items()}


PARTS = (
    Part(
        head="Accuracy of attributes",
        words=(
            "Each point is a model, and each colour a row of the table. MOAD measures the object"
            " bias: above 0, embeddings are more similar by object than by attribute. If the bias"
            " were harmful, models with a larger MOAD would recognise attributes worse, and τ would"
            " be below 0. A correlation is not a cause.",
        ),
        panels=(
            Scatter(
                title="Against object bias",
                caption="Top-1 accuracy of attributes against MOAD; 0 is no object bias.",
                trace="tau",
                match="MOAD",
                xlabel="MOAD",
                ylabel="top-1 of attributes",
                references=(Reference(at=0, axis="x"),),
            ),
            Scatter(
                title="Against performance on objects",
                caption="Top-1 accuracy of attributes against R@1 or top-1 accuracy of objects.",
                trace="tau",
                match="performance",
                xlabel="performance on objects",
                ylabel="top-1 of attributes",
            ),
            Bars(
                title="Rank correlation",
                caption="Kendall's τ with the accuracy of attributes. Black lines: 95 % intervals"
                " over models.",
                ys={"tau": "τ"},
                xlabel="τ",
                references=(Reference(at=0, axis="x"),),
            ),
        ),
    ),
)
A, B = "Schrodi et al. 2025, figure 5a", "Schrodi et al. 2025, figure 5b"
NEEDS = "a zoo of the models of open_clip: see the commands on its page"
OTHER = "models trained on MAD: only the direction is compared"
WHY = (
    "the correlation is positive, so a larger bias is not harmful here: models of this zoo that"
    " learned less recognise digits and attributes worse, digits most, which makes their bias small"
)


def _published() -> list[Published]:
    result: list[Published] = []
    for data in ("mit-states", "ut-zappos", embedded_zoo.PAIRS):
        embedded = data == embedded_zoo.PAIRS
        for words in BIAS.values():
            row = f"{data}, {words}"
            result.append(
                Order(
                    claim=f"{words} and the accuracy of attributes do not correlate, p > .05:"
                    f" {data}",
                    where=A,
                    larger=(row, "p"),
                    smaller=0.05,
                    note=OTHER if embedded else "",
                    needs="" if embedded else NEEDS,
                    why=WHY if embedded else "",
                )
            )
            if embedded:
                result.append(
                    Order(
                        claim=f"Models with a larger {words} do not have a lower accuracy of"
                        " attributes:"
                        f" {data}",
                        where="Schrodi et al. 2025, section 5",
                        larger=(row, "tau"),
                        smaller=0.0,
                        note=OTHER,
                    )
                )
            else:
                result.append(
                    Order(
                        claim=f"Models trained on large data sets have a smaller {words}: {data}",
                        where=A,
                        larger=(f"{row}{MEDIUM_SETS}", "x"),
                        smaller=(f"{row}{LARGE_SETS}", "x"),
                        needs=NEEDS,
                    )
                )
        known = [("coco", "retrieval.image_to_text_r1"), ("imagenet", TOP1)]
        for other, number in [(embedded_zoo.OBJECTS, TOP1)] if embedded else known:
            words = f"{other}, {PERFORMANCE[number]}"
            result.append(
                Order(
                    claim=f"Models that are better on objects are better on attributes: {data};"
                    f" {words}",
                    where=B,
                    larger=(f"{data}, performance: {words}", "tau"),
                    smaller=0.0,
                    note=OTHER if embedded else "",
                    needs="" if embedded else NEEDS,
                )
            )
    return result


CELLS = (
    "model,data,name,label_column,template",
    "open_clip:*,mit-states,,,an image of a {}",
    "open_clip:*,mit-states,mit-states attributes,attribute,an image of a {} object",
    "open_clip:*,ut-zappos,,,an image of a {}",
    "open_clip:*,ut-zappos,ut-zappos attributes,attribute,an image of a {} object",
    "open_clip:*,coco,,,",
    "open_clip:*,imagenet,,,A photo of a {}.",
)
object_bias = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=12,
    extras=("train", *TRAIN),
    real=(
        f"printf '%s\\n' {' '.join(f'{line!r}' for line in CELLS)} > cells.csv",
        "modalgap zoo --cells cells.csv -o zoo --measures moad --disk 20",
        "modalgap study object_bias -o object_bias --set zoo=zoo",
    ),
)
