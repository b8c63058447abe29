"""The gap by dimension: few dimensions hold most of it, and dropping them removes it.

The study sorts the differences of the means of the modalities by size, shows both modalities in two
dimensions, and measures the gap and retrieval while the dimensions with the largest differences are
dropped, one after another.
Source: Schrodi et al. 2025, section 4 and figures 4a–c, 11a–c and 12.
Expected: two or three dimensions differ far more than the others, and they separate the modalities.
Without them the gap is smaller; retrieval first gets worse and then partly recovers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from modalgap import close
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import one_of, whole
from modalgap.embeddings import Pair
from modalgap.errors import NotApplicable
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Curves, Part, Scatter
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import features
from modalgap.study.base import Study
from modalgap.study.embedded import TITLES, pairs, planned
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published
from modalgap.trace import traced

AXES = ("argmax", "largest")
SHOWN = 500  # items of each modality in the scatter
TASKS = {"retrieval": "retrieval.image_to_text_r1", "zero_shot": "zero_shot.top1"}
CARD = Card(
    name="gap_dimensions",
    title="The gap by dimension",
    idea="Sorts dimensions by the difference of the means, and drops those with the largest.",
    source="Schrodi et al. 2025, section 4, figures 4a–c, 11a–c, 12",
    question="Do a few dimensions hold the gap, and does dropping them close it?",
)


@checked
def plan(*, pair: str = "", drop: int = 20, axes: str = "argmax") -> Plan:
    """Plan the embeddings.

    Args:
        pair: file of embeddings of images and texts, or of images and classes; by default models
            trained on MAD.
        drop: largest number of dimensions that are dropped.
        axes: the two dimensions of the scatter: "argmax", the largest dimension of the mean image
            and that of the mean text (figures 4b and 11b), or "largest", the two with the largest
            differences of the means (figure 12).

    Raises:
        OptionError: a value outside its range.
    """
    whole("drop", drop, 1, 10000)
    one_of("axes", axes, AXES)
    settings, models = planned(pair, "full", "short", "untrained")
    return Plan(settings={**settings, "drop": drop, "axes": axes}, models=models)


def run(work: Work) -> Table:
    """Sort, draw and drop the dimensions of each pair."""
    found = pairs(work)
    drop, axes = work.settings["drop"], work.settings["axes"]
    rows: dict[str, dict[str, Value]] = {}
    with progress("dropping dimensions", len(found)) as advance:
        for name, pair in found.items():
            rows[name] = _row(pair, drop, axes)
            advance(1)
    first = next(iter(found))
    rows |= {f"{first}: {side}": {"cloud": v} for side, v in _clouds(found[first], axes).items()}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="embeddings",
        rows=rows,
        heads={
            "first": "largest |Δμ|",
            "second": "second",
            "third": "third",
            "share": "share of two",
            "separated": "separated, scatter",
            "separated_largest": "separated, largest two",
            "rmg": "RMG",
            "rmg_two": "RMG, 2 dropped",
            "rmg_dropped": f"RMG, {drop} dropped",
            "score": "R@1",
            "score_two": "R@1, 2 dropped",
            "score_dropped": f"R@1, {drop} dropped",
        },
        settings=work.settings,
        notes=[
            "|Δμ|: absolute difference of the means in one dimension; second, third: the next"
            " largest; share of two: fraction of the squared gap in the two dimensions with the"
            " largest differences",
            "separated: fraction of items whose nearest mean is that of their own modality, in the"
            " two dimensions of the scatter, or in the two with the largest differences",
            f"2 dropped, {drop} dropped: without this number of dimensions, those with the largest"
            " differences; R@1: image to text, or top-1 of embeddings with classes",
            *(f"{name}: {_axes(pair, axes)[2]}" for name, pair in found.items()),
        ],
    )


def _row(pair: Pair, drop: int, axes: str) -> dict[str, Value]:
    """The numbers of a pair."""
    drop = min(drop, pair.image.dim - 1)
    measured = measure(pair, ["per_dimension_gap", "gap_concentration"], top=2)
    sizes = np.abs(measured["per_dimension_gap"].details["differences"])
    ranks = range(1, len(sizes) + 1)
    gaps, scores = _dropped(pair, drop)
    at = range(len(gaps))
    row = {
        "first": traced(float(sizes[0]), ranks, sizes, measured["per_dimension_gap"].interval),
        "share": measured["gap_concentration"],
        "separated": Value(_separated(*_in_two(pair, axes).values())),
        "separated_largest": Value(_separated(*_in_two(pair, "largest").values())),
        "rmg": Value(gaps[0]),
        "rmg_two": Value(gaps[min(2, drop)]),
        "rmg_dropped": traced(gaps[-1], at, gaps),
    }
    row |= {
        name: Value(float(size)) for name, size in zip(("second", "third"), sizes[1:], strict=False)
    }
    if scores:
        row |= {
            "score": Value(scores[0]),
            "score_two": Value(scores[min(2, drop)]),
            "score_dropped": traced(scores[-1], at, scores),
            "score_lowest": Value(min(scores)),
        }
    return row


def _in_two(pair: Pair, axes: str) -> dict[str, Tensor]:
    """Modality to its unit rows in the two dimensions of the scatter, (n, 2)."""
    a, b, _ = _axes(pair, axes)
    return {side.modality: side.unit()[:, [a, b]].double() for side in (pair.image, pair.text)}


def _clouds(pair: Pair, axes: str) -> dict[str, Value]:
    """The points of the scatter."""
    return {
        f"{side}s": traced(float(rows[:, 0].mean()), *rows[:SHOWN].T.tolist())
        for side, rows in _in_two(pair, axes).items()
    }


def _axes(pair: Pair, axes: str) -> tuple[int, int, str]:
    """The two dimensions of the scatter, and what they are in words."""
    x, y = (side.unit().double().mean(0).numpy() for side in (pair.image, pair.text))
    if axes == "argmax":
        a, b = int(x.argmax()), int(y.argmax())
        names = (pair.image.modality, pair.text.modality)
        words = f"dimension {a} is the largest of the mean {names[0]}, {b} of the mean {names[1]}"
    if axes == "largest" or a == b:
        a, b = (int(each) for each in np.argsort(-np.abs(x - y), kind="stable")[:2])
        words = f"dimensions {a} and {b}, of the largest differences of the means"
    return a, b, words


def _separated(images: Tensor, texts: Tensor) -> float:
    """Fraction of rows (n, 2) that are nearer to the mean of their own modality."""
    means = torch.stack([images.mean(0), texts.mean(0)])
    right = [torch.cdist(rows, means).argmin(1) == own for own, rows in enumerate((images, texts))]
    return float(torch.cat(right).double().mean())


def _dropped(pair: Pair, drop: int) -> tuple[list[float], list[float]]:
    """RMG, and R@1 or top-1 where it applies, without 0, 1, … ``drop`` dimensions."""
    task = "zero_shot" if pair.labels is not None else "retrieval"
    gaps, scores = [], []
    for k in range(drop + 1):
        closed = close(pair, "drop_dims", k=k) if k else pair
        gaps.append(measure(closed, "rmg")["rmg"].value)
        try:
            scores.append(evaluate(closed, task)[TASKS[task]].value)
        except NotApplicable:
            return gaps, []
    return gaps, scores


def _lead(table: Table) -> str:
    said = []
    for name, values in table.rows.items():
        if "share" in values:
            said.append(f"{name}: {values['share'].value:.0%}")
    return f"Fraction of the squared gap in two dimensions: {'; '.join(said)}."


PARTS = (
    Part(
        head="Few dimensions hold the gap",
        words=(_lead,),
        panels=(
            Curves(
                title="Differences of the means",
                caption="Absolute difference of the means in each dimension, sorted by size.",
                trace="first",
                xlabel="rank of the dimension",
                ylabel="|difference of the means|",
                log="x",
            ),
            Curves(
                title="The gap without dimensions",
                caption="RMG after the dimensions with the largest differences are dropped; 0 is a"
                " closed gap.",
                trace="rmg_dropped",
                xlabel="dimensions dropped",
                ylabel="RMG",
            ),
            Curves(
                title="Performance without dimensions",
                caption="R@1, image to text, or top-1 for embeddings with classes; higher is"
                " better.",
                trace="score_dropped",
                xlabel="dimensions dropped",
                ylabel="R@1 or top-1",
            ),
        ),
    ),
    Part(
        head="Two dimensions separate the modalities",
        panels=(
            Scatter(
                title="Both modalities in two dimensions",
                caption=f"At most {SHOWN} items of each modality; the notes name the dimensions.",
                trace="cloud",
                match=": ",
                xlabel="first dimension",
                ylabel="second dimension",
            ),
        ),
    ),
)
WHERE = "Schrodi et al. 2025, figure"
SIGLIP = "siglip"  # the name of the file in the commands
FAR = 0.05  # smallest difference of two dimensions
SMALL = "this small model has a small gap, which is spread over more than two dimensions"
OTHER = "other models: only the direction is compared"


def _published() -> list[Published]:
    sizes: Mapping[str, float] = {"first": 0.501, "second": 0.496, "third": 0.142}
    result: list[Published] = [
        Number(
            claim=f"The {name} difference of the means of CLIP on COCO",
            where="a separate computation of modalgap on the same features",
            against="reference",
            cell=(features.COCO, name),
            value=value,
            tolerance=0.0006,
            needs=features.NEEDS,
        )
        for name, value in sizes.items()
    ]
    clip, siglip = f"{WHERE} 4", f"{WHERE} 11"
    for row, where, needs, note in (
        (features.COCO, clip, features.NEEDS, ""),
        (TITLES["full"], clip, "", OTHER),
        (SIGLIP, siglip, "COCO encoded by SigLIP ViT-B/16; see the commands on its page", ""),
    ):
        result += [
            Order(
                claim=f"The means differ far more in two dimensions than in any other: {row}",
                where=f"{where}a",
                larger=(row, "second"),
                smaller=(row, "third"),
                margin=FAR,
                published="the first is far larger",
                needs=needs,
                note=note,
                why="no dimension of this small model holds most of its gap",
            ),
            Order(
                claim="The two dimensions with the largest differences separate the modalities:"
                f" {row}",
                where=f"{WHERE} 12",
                larger=(row, "separated_largest"),
                smaller=0.99,
                needs=needs,
                note=note,
                why=SMALL,
            ),
            Order(
                claim=f"The largest dimensions of the two means separate the modalities: {row}",
                where=f"{where}b",
                larger=(row, "separated"),
                smaller=0.99,
                needs=needs,
                note=note,
                why=SMALL,
            ),
            Order(
                claim="Without the two dimensions with the largest differences, RMG is smaller:"
                f" {row}",
                where=f"{where}c",
                larger=(row, "rmg"),
                smaller=(row, "rmg_two"),
                needs=needs,
                note=note,
            ),
            Order(
                claim="As dimensions are dropped, retrieval first gets worse and then partly"
                f" recovers: {row}",
                where=f"{where}c",
                larger=(row, "score_dropped"),
                smaller=(row, "score_lowest"),
                needs=needs,
                note=note,
                why="the gap of this model is small and spread over many dimensions, so dropping"
                " them removes content",
            ),
        ]
    return result


gap_dimensions = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=3,
    extras=("train", *TRAIN),
    real=(
        "modalgap encode coco -m open_clip:ViT-B-16/openai -o coco.safetensors",
        "modalgap study gap_dimensions -o gap_dimensions --set pair=coco.safetensors",
        "modalgap encode coco -m open_clip:ViT-B-16-SigLIP/webli -o siglip.safetensors",
        "modalgap study gap_dimensions -o gap_dimensions_siglip --set pair=siglip.safetensors",
        *features.FETCH,
        f"modalgap study gap_dimensions -o gap_dimensions_500 --set pair={features.COCO}.npy",
    ),
)
